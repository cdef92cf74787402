"""What a backup of a large catalogue, its restore and the doctor take, and whether every row comes back."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks import data
from benchmarks.installation import BASE, Gave, Installation
from vlog import embedded

# All but the sessions, which a backup leaves out.
TABLES = """
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'django_session'
"""
# In whatever order the rows lie, and with the columns that the database computes.
SUM = "SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM {} t"

Sums = dict[str, tuple[object, ...] | None]


@dataclass
class Restore:
    """Seconds of each command, bytes of the archive, and the tables whose rows are not what they were."""

    backup: float = 0.0
    verify: float = 0.0
    restore: float = 0.0
    doctor: float = 0.0
    archive: int = 0
    different: list[str] = field(default_factory=list)
    size: dict[str, int] = field(default_factory=dict)


def measure_restore(installation: Installation, size: data.Size) -> Restore:
    url, archive = embedded.database_url(installation.data), installation.data / "bench.zip"
    print("(j) fills the database", flush=True)
    data.fill(url, size)
    data.fill_sessions(url, size)
    before, result = sums(url), Restore(size=vars(size))
    result.backup = _seconds(lambda: installation.manage("backup", str(archive)))
    result.verify = _seconds(lambda: installation.manage("backup", "--verify", str(archive)))
    result.archive = archive.stat().st_size
    installation.manage("reset", "--yes", "--force")  # the site runs, without any request
    result.restore = _seconds(lambda: installation.manage("restore", str(archive), "--yes", "--force"))
    after = sums(url)
    result.different = sorted(table for table in before.keys() | after.keys() if before.get(table) != after.get(table))
    furnish(url, installation.data)
    result.doctor = _seconds(lambda: _ask_the_doctor(installation))
    return result


def furnish(database_url: str, folder: Path) -> None:
    """Empty files at the places where the doctor looks for those of each video."""
    with psycopg.connect(database_url) as connection:
        videos = connection.execute("SELECT id, media_key FROM videos").fetchall()
    for video, key in videos:
        for path in (folder / f"media/{video}-{key}/master.m3u8", folder / f"sources/{video}/original"):
            path.parent.mkdir(parents=True)
            path.touch()


def _ask_the_doctor(installation: Installation) -> None:
    """Run the doctor. It may find problems, because most videos of the catalogue have no qualities."""
    command = [sys.executable, "manage.py", "doctor", "--json"]
    told = subprocess.run(command, cwd=BASE, env=installation.env, capture_output=True, check=False).stdout
    if not any(check["check"] == "videos" for check in json.loads(told)["checks"]):
        raise Gave("(j) the doctor did not look at the videos")


def sums(database_url: str) -> Sums:
    """A number of rows and a sum of their hashes, by table."""
    with psycopg.connect(database_url) as connection:
        names = [str(name) for (name,) in connection.execute(TABLES)]
        return {name: connection.execute(sql.SQL(SUM).format(sql.Identifier(name))).fetchone() for name in names}


def _seconds(action: Callable[[], None]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started
