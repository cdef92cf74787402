"""Installations of VLog beside the test run's own."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vlog.environment import BASE_DIR
from vlog.tests.processes import belonging_to, environment_for, kill_all, wait_until


@pytest.fixture
def new_dir(tmp_path: Path) -> Iterator[Path]:
    """The data folder of an installation that nobody has started yet; its processes end with the test."""
    folder = tmp_path / "data"
    yield folder
    kill_all(folder)


@pytest.fixture
def data_dir(new_dir: Path, database: Path) -> Path:
    """That of one which has run before, so that nobody waits for its database to be made."""
    new_dir.mkdir(mode=0o700)
    shutil.copytree(database, new_dir / "postgres")
    return new_dir


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database that was made and shut down."""
    folder = tmp_path_factory.mktemp("made") / "data"
    run_apart(folder, "-c", "from vlog import embedded; embedded.join(); embedded.leave()")
    return folder / "postgres"


def run_apart(folder: Path, *arguments: str) -> None:
    """Run Python in an installation, until it and the services have ended."""
    try:
        subprocess.run([sys.executable, *arguments], cwd=BASE_DIR, env=environment_for(folder), check=True)
        wait_until(lambda: not belonging_to(folder), "the end of the services")
    finally:
        kill_all(folder)
