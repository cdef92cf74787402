"""Commands before the first migration, and in a database of an earlier release."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings
from django.core.management import get_commands
from psycopg import sql

from vlog import embedded
from vlog.environment import BASE_DIR
from vlog.tests.processes import environment_for

NO_TABLES = "The database has no tables of VLog yet: run manage.py migrate, or start VLog, which does so itself.\n"
# Each command of VLog with arguments that make it look into the database.
COMMANDS = {
    "archive_video": ["a-walk"],
    "backup": ["vlog.zip"],
    "captions": ["list", "a-walk"],
    "disk_usage": [],
    "import_mediacms": ["--database-url", "postgresql://localhost/old", "--media", "."],
    "export": ["out"],
    "import_video": ["walk.mp4"],
    "import_vlog": ["--database-url", "postgresql://localhost/old", "--storage", "."],
    "jobs": [],
    "purge_archive": [],
    "replace": ["a-walk", "walk.mp4"],
    "reset_totp": ["ann"],
    "restore_video": ["a-walk"],
    "set_visibility": ["a-walk", "public"],
    "token": ["list"],
    "verify_media": [],
    "versions": ["a-walk"],
    "worker": [],
}
# They create the tables themselves, say that they are missing among other things, or need none.
OTHERS = {
    "doctor",
    "move_files",
    "reset",
    "restore",
    "settings",
    "test_alert",
    "up",
    "upload",
    "welcome",
    "whisper_model",
}
OURS = {"vlog", "videos", "transcoding", "workers", "analytics"}


@pytest.fixture(scope="module")
def empty() -> Iterator[str]:
    """The address of an empty database."""
    server, name = embedded.database_url(settings.DATA_DIR), f"empty_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def manage(folder: Path, database: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    env = environment_for(folder / "data", VLOG_DATABASE_URL=database, VLOG_REDIS_URL=settings.REDIS_URL)
    (folder / "walk.mp4").write_bytes(b"video")
    command = [sys.executable, str(BASE_DIR / "manage.py"), *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_every_command_is_tried():
    assert {name for name, app in get_commands().items() if app in OURS} >= set(COMMANDS)
    assert {name for name, app in get_commands().items() if app in OURS} <= {*COMMANDS, *OTHERS}


def test_a_command_says_that_there_are_no_tables(empty, tmp_path):
    done = manage(tmp_path, empty, "import_video", "walk.mp4")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", NO_TABLES)
    assert list((tmp_path / "data/uploads").iterdir()) == []


@pytest.mark.slow("starts every command")
@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"import_video"}))
def test_each_command_says_so(name, empty, tmp_path):
    done = manage(tmp_path, empty, name, *COMMANDS[name])
    assert (done.returncode, done.stderr) == (1, NO_TABLES)
    assert not (tmp_path / "vlog.zip").exists()


@pytest.mark.slow("changes the database of an earlier release")
def test_a_command_says_that_migrations_are_missing(earlier_site, tmp_path):
    done = manage(tmp_path, earlier_site.database_url, "worker", "list")
    assert done.returncode == 1
    assert done.stderr.endswith(
        " migrations are not applied to the database: run manage.py migrate, or restart VLog, which does so itself.\n"
    )
    assert done.stderr.count("\n") == 1
