"""What runs on a data folder: each `manage.py up` leaves its address, its release and its processes there.

A lock says that it still runs, because a killed process leaves its files behind.
"""

import fcntl
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from vlog import release
from vlog.embedded import places

# There is one for all machines of an installation; of the other programs, one on each machine.
UNIQUE = "beat"
WAIT_SECONDS = 5


@dataclass(frozen=True)
class Instance:
    """A running `manage.py up`. address: of the site, empty without `web`; processes: the ID of each program."""

    host: str
    pid: int
    programs: tuple[str, ...]
    address: str = ""
    release: str = ""
    processes: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"up-{self.host}-{'-'.join(self.programs)}"

    def excludes(self, other: "Instance") -> bool:
        shared = set(self.programs) & set(other.programs)
        return UNIQUE in shared or bool(shared and self.host == other.host)

    def __str__(self) -> str:
        where = f" at {self.address}" if self.address else f" ({', '.join(self.programs)})"
        return f"{where} as process {self.pid} on {self.host}".lstrip()


class AlreadyRunning(Exception):
    """The programs run on this data folder already; the message says where."""


def running(data_dir: Path) -> list[Instance]:
    """Return each `manage.py up` that runs on this data folder, on whatever machine."""
    records = sorted(places.run_dir(data_dir).glob("up-*.json"))
    return [instance for record in records if (instance := _read(record)) is not None]


def address(data_dir: Path) -> str:
    """Return the address of the site that runs on this data folder; empty if none does."""
    try:
        return next((instance.address for instance in running(data_dir) if instance.address), "")
    except OSError:  # another user's folder: this command can do nothing in it, either
        return ""


class Entry:
    """The record of this process; it counts until the process ends."""

    def __init__(self, data_dir: Path, instance: Instance) -> None:
        self.path = places.run_dir(data_dir) / f"{instance.name}.json"
        self.instance = instance
        self.shown: dict[str, int] | None = None

    def show(self, processes: dict[str, int]) -> None:
        """Write down which processes run now."""
        if processes != self.shown:
            draft = self.path.with_suffix(".new")
            draft.write_text(json.dumps(asdict(replace(self.instance, processes=processes))), encoding="utf-8")
            draft.replace(self.path)
            self.shown = processes


@contextmanager
def entered(data_dir: Path, programs: tuple[str, ...], address: str) -> Iterator[Entry]:
    """Record that this process runs these programs. Raises AlreadyRunning."""
    places.prepare(data_dir)
    mine = Instance(platform.node(), os.getpid(), programs, address, release.name())
    entry = Entry(data_dir, mine)
    with _locked(places.run_dir(data_dir) / "up.lock"):
        for other in running(data_dir):
            if mine.excludes(other):
                raise AlreadyRunning(f"VLog already runs on {data_dir}: {other}")
        entry.show({})
        lock = places.wait_for_lock(_lock_of(entry.path), fcntl.LOCK_EX, WAIT_SECONDS)
    try:
        yield entry
    finally:
        entry.path.unlink(missing_ok=True)
        os.close(lock)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = places.wait_for_lock(path, fcntl.LOCK_EX, WAIT_SECONDS)
    try:
        yield
    finally:
        os.close(lock)


def _lock_of(record: Path) -> Path:
    return record.with_suffix(".lock")


def _read(record: Path) -> Instance | None:
    """Return what a record says; None if its process has ended."""
    if not places.refuses(_lock_of(record), fcntl.LOCK_SH):
        return None
    try:
        values = json.loads(record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None  # it has just ended
    return Instance(**{**values, "programs": tuple(values["programs"])})
