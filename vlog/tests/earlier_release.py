"""A site as an earlier release left it, for tests of the way from there to this release.

`data/release_28570df/README.md` tells what is in it, and how it was made. The database is loaded as it was, without any
migration. Nothing of the apps is used here, so that they may be changed as they like.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from vlog import embedded, environment
from vlog.tests.processes import environment_for, kill_all

FOLDER = Path(__file__).parent / "data" / "release_28570df"
BACKUP = FOLDER / "backup.zip"  # `manage.py restore` of this release must be able to read it, too
AGENT = FOLDER / "agent.pyz"
# What would depend on the machine or on the day: captions, the free disk space, what is due to leave the archive.
SETTINGS = {"VLOG_WHISPER_MODEL": "none", "VLOG_DISK_RESERVE": "0", "VLOG_ARCHIVE_RETENTION_DAYS": "36500"}


@dataclass(frozen=True)
class EarlierSite:
    """Where an earlier release's site lies, and how to work on it."""

    data_dir: Path
    database_url: str

    def environment(self, **variables: str) -> dict[str, str]:
        """For a process of this release that works on the site; its Redis is one of its own."""
        chosen = {**SETTINGS, "VLOG_DATABASE_URL": self.database_url, **variables}
        return environment_for(self.data_dir, **chosen)

    def manage(self, *arguments: str, **variables: str) -> str:
        """Run a command of manage.py, which must succeed; returns what it wrote to its standard output."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command,
            cwd=environment.BASE_DIR,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def query(self, question: str | sql.Composed, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url) as connection:
            cursor = connection.execute(question, values or None)
            return cursor.fetchall() if cursor.description else []

    def package(self, slug: str) -> Path:
        """The folder of what viewers get of a video that is not archived."""
        ((video, key),) = self.query("SELECT id, media_key FROM videos WHERE slug = %s", slug)
        return self.data_dir / "media" / f"{video}-{key}"


def unpack(data_dir: Path) -> None:
    """Put the files of the earlier release into a data folder, which is made where it is not there."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with zipfile.ZipFile(BACKUP) as archive:
        for member in archive.infolist():
            name = PurePosixPath(member.filename)
            if name.parts[0] == "files":
                _unpack_member(archive, member, data_dir / name.relative_to("files"))


def _unpack_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with archive.open(member) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
    target.chmod(member.external_attr >> 16 & 0o777)


def load(database_url: str) -> None:
    """Fill an empty database with the earlier release's tables and rows."""
    with zipfile.ZipFile(BACKUP) as archive, psycopg.connect(database_url) as connection:
        told = json.loads(archive.read("manifest.json"))["database"]
        _run(connection, "tables.sql")
        for table, columns in told["tables"].items():
            names = sql.SQL(", ").join(map(sql.Identifier, columns))
            command = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)
            with connection.cursor() as cursor, cursor.copy(command) as copy:
                copy.write(archive.read(f"database/{table}"))
        for name, number in told["sequences"].items():
            if number is not None:
                connection.execute("SELECT setval(%s::regclass, %s)", [name, number])
        _run(connection, "constraints.sql")


def _run(connection: psycopg.Connection[Any], script: str) -> None:
    # As one simple query, which may have many statements.
    connection.execute((FOLDER / script).read_bytes())


def row_counts() -> dict[str, int]:
    """How many rows the earlier release had in each table."""
    with zipfile.ZipFile(BACKUP) as archive:
        tables = json.loads(archive.read("manifest.json"))["database"]["tables"]
        return {table: archive.read(f"database/{table}").count(b"\n") for table in tables}


@contextmanager
def installed() -> Iterator[EarlierSite]:
    """The site in a data folder and a database of its own; both go at the end, with all processes that use them.

    The database is made in the PostgreSQL of the test run.
    """
    server = os.environ.get("VLOG_DATABASE_URL") or embedded.database_url(environment.data_dir())
    name = f"earlier_{uuid4().hex}"
    # Not pytest's folder, whose long name would send the sockets elsewhere.
    folder = Path(tempfile.mkdtemp(prefix="vlog-earlier-"))
    _administer(server, "CREATE DATABASE {}", name)
    try:
        site = EarlierSite(folder / "data", urlunsplit(urlsplit(server)._replace(path=f"/{name}")))
        unpack(site.data_dir)
        load(site.database_url)
        yield site
    finally:
        kill_all(folder)
        _administer(server, "DROP DATABASE {} WITH (FORCE)", name)
        shutil.rmtree(folder)


def _administer(server: str, statement: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


@pytest.fixture
def earlier_site() -> Iterator[EarlierSite]:
    """A site of the earlier release, unchanged since."""
    with installed() as site:
        yield site
