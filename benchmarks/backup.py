"""How long a backup of a large catalogue takes, how long its restore, and whether every row comes back."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from benchmarks import data
from benchmarks.installation import Installation
from vlog import embedded

TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
# In whatever order the rows lie, and with the columns that the database computes.
SUM = "SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM {} t"

Sums = dict[str, tuple[object, ...] | None]


@dataclass
class Restore:
    """Seconds of each command, bytes of the archive, and the tables whose rows are not what they were."""

    backup: float = 0.0
    verify: float = 0.0
    restore: float = 0.0
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
    installation.manage("reset", "--yes", "--force")  # the site runs, and nobody asks it for anything
    result.restore = _seconds(lambda: installation.manage("restore", str(archive), "--yes", "--force"))
    after = sums(url)
    result.different = sorted(table for table in before.keys() | after.keys() if before.get(table) != after.get(table))
    return result


def sums(database_url: str) -> Sums:
    """A number of rows and a sum of their hashes, by table."""
    with psycopg.connect(database_url) as connection:
        names = [str(name) for (name,) in connection.execute(TABLES)]
        return {name: connection.execute(sql.SQL(SUM).format(sql.Identifier(name))).fetchone() for name in names}


def _seconds(action: Callable[[], None]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started
