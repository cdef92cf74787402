"""What pages cost beside those of earlier commits, and in a catalogue ten times as large: CPU time, so that other
programs on the machine matter little."""

import os
import platform
import shutil
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

from benchmarks import data
from benchmarks.installation import BASE, Gave, Installation
from benchmarks.processes import Family
from benchmarks.web import load, pages, watch_pages
from vlog.embedded.services import valkey_server

LARGE = "28570df"  # with which a large catalogue is compared
SMALL = "6ecbba6"  # with which a small site is
TIMES = 10  # as many videos in the largest catalogue
SMALL_SIZE = data.Size(videos=5, cues=250, categories=2, tags=5)
CONNECTIONS = 4
FILL = """
import sys
from pathlib import Path
from benchmarks import data
from vlog import embedded
videos, cues, categories, tags = map(int, sys.argv[2:])
size = data.Size(videos=videos, cues=cues, categories=categories, tags=tags)
data.fill(embedded.database_url(Path(sys.argv[1])), size)
"""


@dataclass
class Pair:
    """CPU milliseconds of a page of either site, one entry a round."""

    before: list[float] = field(default_factory=list)
    now: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return statistics.median(self.now) / statistics.median(self.before)


@dataclass
class Releases:
    """By what is compared, `large`, `small` and `growth`, and the page, `home` and `watch`."""

    pairs: dict[str, dict[str, Pair]] = field(default_factory=dict)


def measure_releases(family: Family, folder: Path, rounds: int, seconds: int, size: data.Size) -> Releases:
    """Compare two sites at a time. The largest catalogue has no more cues than the other one, which saves an hour."""
    if shutil.which("wrk") is None:
        raise Gave("(p) needs wrk: apt-get install wrk")
    result = Releases()
    larger = replace(size, videos=size.videos * TIMES)
    with redis_server(family) as redis:
        for name, before, now in (
            ("large", (LARGE, size), ("", size)),
            ("small", (SMALL, SMALL_SIZE), ("", SMALL_SIZE)),
            ("growth", ("", size), ("", larger)),
        ):
            print(f"(p) {name}", flush=True)
            with ExitStack() as stack:
                sites = [
                    (stack.enter_context(site(family, folder, commit, of, f"{redis}/{number}")), of)
                    for number, (commit, of) in enumerate((before, now))
                ]
                result.pairs[name] = {kind: compare(sites, kind, rounds, seconds) for kind in ("home", "watch")}
    return result


def compare(sites: list[tuple[Installation, data.Size]], kind: str, rounds: int, seconds: int) -> Pair:
    """Ask both sites in turn."""
    pair = Pair()
    for _ in range(rounds):
        for (installation, size), costs in zip(sites, (pair.before, pair.now), strict=True):
            script = pages(["/"] if kind == "home" else watch_pages(size))
            costs.append(load(installation, script, seconds, CONNECTIONS).cost)
    return pair


@contextmanager
def site(family: Family, folder: Path, commit: str, size: data.Size, redis: str) -> Iterator[Installation]:
    """A site of this tree, or of a commit, with so many videos; only its web server runs."""
    with tempfile.TemporaryDirectory(prefix="vlog-bench-", dir=folder) as place:
        installation = Installation(family, folder, only="web", VLOG_REDIS_URL=redis)
        installation.base = checkout(commit, Path(place)) if commit else BASE
        if commit:
            del installation.env["VLOG_KEEP_PAGES_BYTES"]  # earlier ones keep no pages, and do not know the name
        with installation:
            numbers = (size.videos, size.cues, size.categories, size.tags)
            command = [sys.executable, "-c", FILL, str(installation.data), *map(str, numbers)]
            subprocess.run(command, cwd=installation.base, env=installation.env, check=True)
            yield installation


def checkout(commit: str, place: Path) -> Path:
    """Write the files of a commit into a folder, with its static files; its packages are those of this tree."""
    archive = subprocess.run(["git", "archive", commit], cwd=BASE, check=True, capture_output=True).stdout
    subprocess.run(["tar", "x"], cwd=place, check=True, input=archive)
    (place / "node_modules").symlink_to(BASE / "node_modules")
    # The database is not asked, so any address will do.
    nowhere = {"VLOG_DATA_DIR": str(place / "var"), "VLOG_DATABASE_URL": "postgresql://u:p@127.0.0.1/none"}
    env = {name: value for name, value in os.environ.items() if not name.startswith("VLOG_")}
    env |= {**nowhere, "VLOG_REDIS_URL": "redis://127.0.0.1:1"}
    command = [sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"]
    subprocess.run(command, cwd=place, env=env, check=True, stderr=subprocess.DEVNULL)
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
