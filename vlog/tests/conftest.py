"""Further installations of VLog, and a separate database that tests may destroy."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection

from vlog import running
from vlog.environment import BASE_DIR
from vlog.tests.processes import belonging_to, environment_for, kill_all, reserve_port, wait_until


@pytest.fixture
def new_dir(tmp_path: Path) -> Iterator[Path]:
    """The data folder of an installation that was never started. Its processes end with the test."""
    folder = tmp_path / "data"
    yield folder
    kill_all(folder)


@pytest.fixture
def data_dir(new_dir: Path, database: Path) -> Path:
    """The data folder of an installation that has run before, so that its database exists."""
    new_dir.mkdir(mode=0o700)
    shutil.copytree(database, new_dir / "postgres")
    return new_dir


@pytest.fixture(scope="session")
def collected() -> None:
    """The static files, without which the site does not start."""
    if not (BASE_DIR / "staticfiles" / "staticfiles.json").exists():
        subprocess.run([sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"], cwd=BASE_DIR, check=True)


@pytest.fixture
def port() -> Iterator[int]:
    """A port that no other process gets."""
    with reserve_port() as holder:
        yield holder.getsockname()[1]


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database that was created and shut down."""
    folder = tmp_path_factory.mktemp("made") / "data"
    run_apart(folder, "-c", "from vlog import embedded; embedded.join(); embedded.leave()")
    return folder / "postgres"


def run_apart(folder: Path, *arguments: str) -> None:
    """Run Python in an installation, and return when it and the services have ended."""
    try:
        subprocess.run([sys.executable, *arguments], cwd=BASE_DIR, env=environment_for(folder), check=True)
        wait_until(lambda: not belonging_to(folder), "the end of the services")
    finally:
        kill_all(folder)


@pytest.fixture(scope="module")
def empty_database(django_db_blocker: Any) -> Iterator[str]:
    """The name of an empty database with all tables, as a template."""
    with django_db_blocker.unblock():
        main, name = connection.settings_dict["NAME"], f"care_{os.getpid()}"
        execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
        use(name)
        call_command("migrate", verbosity=0)
        use(main)
        yield name
        execute(f"DROP DATABASE {name}")


@pytest.fixture
def installation(
    empty_database: str, django_db_blocker: Any, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The data folder of an installation whose database is a new copy of the empty one."""
    monkeypatch.setattr(running, "REPLY_SECONDS", 0.1)  # no node replies
    with django_db_blocker.unblock():
        main, name = connection.settings_dict["NAME"], f"{empty_database}_used"
        execute(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name} TEMPLATE {empty_database}")
        use(name)
        data = settings.DATA_DIR = tmp_path / "data"
        for place in ("uploads", "sources", "media", "archive"):
            (data / place).mkdir(parents=True)
            setattr(settings, f"{place.upper()}_DIR", data / place)
        (data / "secret-key").write_text("a secret")
        yield data
        use(main)
        ContentType.objects.clear_cache()
        execute(f"DROP DATABASE {name} WITH (FORCE)")


def use(name: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = name


def execute(*statements: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []
