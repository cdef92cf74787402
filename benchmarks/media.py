"""`python -m benchmarks.media`: segments through nginx as our template has it, beside the barest nginx there is."""

import argparse
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.web import CONNECTIONS, pages
from vlog.tests.installed import nginx_configuration
from vlog.tests.processes import reserve_port, wait_until

PACKAGE = f"7-{'0123456789abcdef' * 2}"
SIZES = {"360p, 256 KiB": 256 << 10, "1080p, 3 MiB": 3 << 20}  # of a segment of six seconds
SEGMENTS = 50  # all of them stay in the page cache: it is nginx that is measured
AT_LEAST = 0.9
BARE = """
server {
    listen 127.0.0.1:%(port)d;
    access_log off;
    sendfile on;
    tcp_nopush on;
    root %(files)s;
}
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.media", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="in turn, so that whatever else happens meets both")
    options = parser.parse_args()
    missing = [program for program in ("nginx", "wrk") if shutil.which(program) is None]
    if missing:
        parser.error(f"it needs {' and '.join(missing)}: install the packages of these names")
    ratios = []
    with tempfile.TemporaryDirectory(prefix="vlog-media-") as name:
        folder = Path(name)
        for text, size in SIZES.items():
            rounds = measure(folder, size, options.rounds, options.seconds)
            ratios.append(statistics.median(ours / bare for ours, bare in rounds))
            ours, bare = (statistics.median(column) for column in zip(*rounds, strict=True))
            told = f"{ours:8.0f}/s, nginx alone {bare:8.0f}/s, {ours * size / 1e9:.2f} GB/s"
            print(f"{text:<16} {told}: {ratios[-1]:.2f} ≥ {AT_LEAST}", flush=True)
    return 0 if min(ratios) >= AT_LEAST else 1


def measure(folder: Path, size: int, rounds: int, seconds: int) -> list[tuple[float, float]]:
    """Segments a second of ours and of the bare one, in each round."""
    package = folder / "media" / PACKAGE / "720p"
    package.mkdir(parents=True, exist_ok=True)
    link = folder / "media" / "open" / PACKAGE  # as the site makes it at the first request
    link.parent.mkdir(exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(Path("..", PACKAGE))
    names = [f"{index:05}.m4s" for index in range(SEGMENTS)]
    for name in names:
        (package / name).write_bytes(os.urandom(size))
    random.Random(1).shuffle(names)  # noqa: S311 - the same at each run
    script = folder / "wrk.lua"
    script.write_text(pages([f"/media/{PACKAGE}/720p/{name}" for name in names]))
    with both(folder) as (ours, bare):
        return [(rate(ours, script, seconds), rate(bare, script, seconds)) for _ in range(rounds)]


@contextmanager
def both(folder: Path) -> Iterator[tuple[int, int]]:
    """One nginx with two servers: the ports of ours and of the bare one."""
    with reserve_port() as one, reserve_port() as other:
        ours, bare = one.getsockname()[1], other.getsockname()[1]
        words = {"VLOG_LISTEN": f"127.0.0.1:{ours}", "VLOG_WEB": "127.0.0.1:1", "VLOG_FILES": folder}
        configuration = nginx_configuration(folder, **words, VLOG_STATIC=folder)
        with (folder / "vlog.conf").open("a") as servers:
            servers.write(BARE % {"port": bare, "files": folder})
        process = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(configuration), "-g", "daemon off;"])
        try:
            wait_until(lambda: listens(ours) and listens(bare), "nginx")
            yield ours, bare
        finally:
            process.terminate()
            process.wait(60)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def rate(port: int, script: Path, seconds: int) -> float:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", report)
    if found is None or re.search(r"Non-2xx|Socket errors", report):
        sys.exit(f"wrk did not get what it asked for:\n{report}")
    return float(found[1])


if __name__ == "__main__":
    sys.exit(main())
