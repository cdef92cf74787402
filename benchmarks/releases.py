"""What pages cost beside those of earlier commits, and in a catalogue ten times as large: CPU time, so that other
programs on the machine matter little. Each site is a process that asks its own web application, see `asker`."""

import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from benchmarks import data
from benchmarks.installation import BASE, PUBLIC, Gave
from benchmarks.processes import Family
from benchmarks.web import searches, watch_pages
from vlog.embedded.services import valkey_server

LARGE = "28570df"  # with which a large catalogue is compared
SMALL = "6ecbba6"  # with which a small site is
TIMES = 10  # as many videos in the largest catalogue
SMALL_SIZE = data.Size(videos=5, cues=250, categories=2, tags=5)
KINDS = ("home", "watch", "unknown", "search")
PAGES, QUICK_PAGES = 300, 50  # of a kind in each round
STOPPING_SECONDS = 60
FILL = """
import sys
from pathlib import Path
from benchmarks import data
from vlog import embedded
embedded.join()
videos, cues, categories, tags = map(int, sys.argv[2:])
size = data.Size(videos=videos, cues=cues, categories=categories, tags=tags)
data.fill(embedded.database_url(Path(sys.argv[1])), size)
"""
# Packages of the browser that a commit needs and this tree has no more: their content costs a page nothing.
STUBS = """
from pathlib import Path
from vlog.node_files import FILES
for name in FILES:
    path = Path("node_modules", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
"""


class Used(NamedTuple):
    """Milliseconds of the processor for a page."""

    python: float
    postgresql: float


@dataclass
class Pair:
    """What a page of either site costs, one entry a round."""

    before: list[Used] = field(default_factory=list)
    now: list[Used] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return statistics.median(map(sum, self.now)) / statistics.median(map(sum, self.before))


@dataclass
class Releases:
    """By what is compared, `large`, `small` and `growth`, and the kind of page."""

    pairs: dict[str, dict[str, Pair]] = field(default_factory=dict)


class Site:
    """A catalogue, and a process that asks for its pages."""

    def __init__(self, size: data.Size, process: "subprocess.Popen[str]") -> None:
        self.size, self.process = size, process

    def ask(self, addresses: list[str]) -> Used:
        """Return what these pages cost on average. Raises Gave where one is not there."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(addresses) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise Gave("(p) a site stopped; its message is above")
        return Used(*json.loads(line))

    def addresses(self, kind: str, turn: int, number: int) -> list[str]:
        """Return the pages of a kind: the same in each turn, but those of `unknown`, for which no turn has asked."""
        if kind == "unknown":
            first = turn * number
            return [f"/watch/video-{1 + (first + each) % self.size.videos}/" for each in range(number)]
        if kind == "home":
            return ["/"] * number
        return (watch_pages(self.size) if kind == "watch" else searches())[:number]


def measure_releases(family: Family, folder: Path, rounds: int, *, quick: bool) -> Releases:
    """Compare the sites. The largest catalogue has no more cues than the other one, which saves an hour."""
    size, number = (data.QUICK, QUICK_PAGES) if quick else (data.Size(), PAGES)
    larger = replace(size, videos=size.videos * TIMES)
    with redis_server(family) as redis:
        sites = [(LARGE, size), ("", size), ("", larger)]
        large = costs(family, folder, redis, sites, KINDS, rounds, number)
        small = costs(family, folder, redis, [(SMALL, SMALL_SIZE), ("", SMALL_SIZE)], ("home", "watch"), rounds, number)
    pairs = {
        name: {kind: Pair(*found[:2]) for kind, found in by.items()}
        for name, by in (("large", large), ("small", small))
    }
    pairs["growth"] = {kind: Pair(*found[1:]) for kind, found in large.items()}
    return Releases(pairs)


def costs(
    family: Family,
    folder: Path,
    redis: str,
    wanted: list[tuple[str, data.Size]],
    kinds: tuple[str, ...],
    rounds: int,
    number: int,
) -> dict[str, list[list[Used]]]:
    """Return the costs by kind and site, each a list of those of the rounds. All sites are asked in turn."""
    with ExitStack() as stack:
        sites = []
        for place, (commit, size) in enumerate(wanted):
            print(f"(p) {size.videos} videos of {commit or 'this tree'}", flush=True)
            sites.append(stack.enter_context(site(family, folder, commit, size, f"{redis}/{place}")))
        found: dict[str, list[list[Used]]] = {}
        for kind in kinds:
            turns = [[each.ask(each.addresses(kind, turn, number)) for each in sites] for turn in range(rounds + 1)]
            found[kind] = [list(costs) for costs in zip(*turns[1:], strict=True)]  # the first one fills the caches
    return found


@contextmanager
def site(family: Family, folder: Path, commit: str, size: data.Size, redis: str) -> Iterator[Site]:
    """A site of this tree, or of a commit, with so many videos; it has a database and no web server."""
    with tempfile.TemporaryDirectory(prefix="vlog-bench-", dir=folder, ignore_cleanup_errors=True) as place:
        own = Path(place) / "data"
        program = checkout(commit, Path(place) / "program") if commit else BASE
        env = environment(VLOG_DATA_DIR=str(own), VLOG_WHISPER_MODEL="none", VLOG_REDIS_URL=redis)
        if not commit:  # earlier ones do not know the names
            env |= {**PUBLIC, "VLOG_SEARCH_LIMIT": "0"}
        env["PYTHONPATH"] = str(program)
        numbers = (size.videos, size.cues, size.categories, size.tags)
        for command in (
            ["manage.py", "collectstatic", "--noinput", "-v0"],
            ["manage.py", "migrate", "-v0"],
            ["-c", FILL, str(own), *map(str, numbers)],
        ):
            subprocess.run([sys.executable, *command], cwd=program, env=env, check=True)
        asker = [sys.executable, "-P", str(BASE / "benchmarks" / "asker.py")]
        process = subprocess.Popen(
            asker, cwd=program, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        family.waited_for.add(process.pid)
        try:
            yield Site(size, process)
        finally:
            process.communicate()
            wait_for_end(own)


def wait_for_end(own: Path) -> None:
    """Wait until the database of a data folder has stopped, which happens when no process uses it any more."""
    end = time.monotonic() + STOPPING_SECONDS
    while (own / "postgres" / "postmaster.pid").exists() and time.monotonic() < end:
        time.sleep(0.2)


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment with these settings of VLog and no others."""
    return {name: value for name, value in os.environ.items() if not name.startswith("VLOG_")} | settings


def checkout(commit: str, place: Path) -> Path:
    """Write the files of a commit into a folder; its Python packages are those of this tree."""
    place.mkdir()
    archive = subprocess.run(["git", "archive", commit], cwd=BASE, check=True, capture_output=True).stdout
    subprocess.run(["tar", "x"], cwd=place, check=True, input=archive)
    subprocess.run([sys.executable, "-c", STUBS], cwd=place, env=environment(), check=True)
    return place


@contextmanager
def redis_server(family: Family) -> Iterator[str]:
    """A Redis for all sites, because earlier ones look for a package with another one; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [str(valkey_server(platform.machine())), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    family.waited_for.add(process.pid)
    time.sleep(0.5)
    yield f"redis://127.0.0.1:{port}"
    process.terminate()
    process.wait()
