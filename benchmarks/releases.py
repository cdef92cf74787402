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
BLOCK = 25  # pages that a site is asked for in turn
BLOCKS, QUICK_BLOCKS = 12, 2  # in each round
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
    """What a page of either site costs, one entry for each block: the same pages, one site right after the other."""

    before: list[Used] = field(default_factory=list)
    now: list[Used] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return statistics.median(sum(now) / sum(before) for before, now in zip(self.before, self.now, strict=True))


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

    def block(self, kind: str, number: int) -> list[str]:
        """Return the pages of a block. Those of `unknown` are asked for once, all others before in the warm-up."""
        places = range(number * BLOCK, (number + 1) * BLOCK)
        if kind == "home":
            return ["/"] * BLOCK
        if kind == "unknown":
            return [f"/watch/video-{1 + place % self.size.videos}/" for place in places]
        pages = watch_pages(self.size) if kind == "watch" else searches()
        return [pages[place % len(pages)] for place in places]


def measure_releases(family: Family, folder: Path, rounds: int, *, quick: bool) -> Releases:
    """Compare the sites. The largest catalogue has no more cues than the other one, which saves an hour."""
    size, blocks = (data.QUICK, QUICK_BLOCKS) if quick else (data.Size(), BLOCKS * rounds)
    larger = replace(size, videos=size.videos * TIMES)
    result = Releases()
    with redis_server(family) as redis:
        place = Place(family, folder, redis)
        with sites(place, (LARGE, size), ("", size), ("", larger)) as found:
            for kind in KINDS:
                before, now, later = costs(found, kind, blocks)
                result.pairs.setdefault("large", {})[kind] = Pair(before, now)
                result.pairs.setdefault("growth", {})[kind] = Pair(now, later)
        with sites(place, (SMALL, SMALL_SIZE), ("", SMALL_SIZE)) as found:
            result.pairs["small"] = {kind: Pair(*costs(found, kind, blocks)) for kind in ("home", "watch")}
    return result


class Place(NamedTuple):
    """Where sites are: their data, and the address of their Redis."""

    family: Family
    folder: Path
    redis: str


@contextmanager
def sites(place: Place, *wanted: tuple[str, data.Size]) -> Iterator[list[Site]]:
    """Several sites at a time, each of a commit with a catalogue."""
    with ExitStack() as stack:
        found = []
        for number, (commit, size) in enumerate(wanted):
            print(f"(p) {size.videos} videos of {commit or 'this tree'}", flush=True)
            found.append(stack.enter_context(site(place, commit, size, number)))
        yield found


def costs(sites: list[Site], kind: str, blocks: int) -> list[list[Used]]:
    """Return what each block of pages costs, by site. The sites are asked in turn, after a warm-up."""
    for each in sites:
        for number in range(1 if kind == "unknown" else min(blocks, len(searches()) // BLOCK)):
            each.ask(each.block(kind, number))
    asked = range(1, blocks + 1) if kind == "unknown" else range(blocks)
    found = [[each.ask(each.block(kind, number)) for each in sites] for number in asked]
    return [list(of_site) for of_site in zip(*found, strict=True)]


@contextmanager
def site(place: Place, commit: str, size: data.Size, number: int) -> Iterator[Site]:
    """A site of this tree, or of a commit, with so many videos; it has a database and no web server."""
    with tempfile.TemporaryDirectory(prefix="vlog-bench-", dir=place.folder, ignore_cleanup_errors=True) as temporary:
        own = Path(temporary) / "data"
        program = checkout(commit, Path(temporary) / "program") if commit else BASE
        redis = f"{place.redis}/{number}"
        env = environment(VLOG_DATA_DIR=str(own), VLOG_WHISPER_MODEL="none", VLOG_REDIS_URL=redis)
        if not commit:  # earlier ones do not know the names
            env |= {**PUBLIC, "VLOG_SEARCH_LIMIT": "1000000/60"}
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
        place.family.waited_for.add(process.pid)
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
