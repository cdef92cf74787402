"""What resumable uploads cost beside a plain form: time, memory of the web server, bytes written."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks.installation import BASE, Installation
from benchmarks.processes import program_of
from videos.management.tus_client import FileUpload, Site

AT_ONCE = 4
WEB = "web"
LOOK_SECONDS = 0.2


@dataclass
class Uploads:
    """Seconds of the same file by the form and by tus; bytes that were written and uploaded; bytes of memory.

    memory: how much the process of the web server that grew most had beyond what it had before, in private pages.
    """

    plain: list[float] = field(default_factory=list)
    tus: list[float] = field(default_factory=list)
    written: int = 0
    uploaded: int = 0
    memory: int = 0

    @property
    def ratio(self) -> float:
        """The speed of tus, as a part of that of the form."""
        return sum(self.plain) / sum(self.tus)


def measure_uploads(installation: Installation, size: int, rounds: int) -> Uploads:
    """Upload files of `size` bytes."""
    result, site = Uploads(), _site(installation)
    for number in range(rounds):
        file = _file(installation.data / f"plain-{number}.mp4", size)
        result.plain.append(_seconds(partial(installation.editor.upload, file, file.stem)))
        file = _file(installation.data / f"tus-{number}.mp4", size)
        result.tus.append(_seconds(partial(_send, site, file)))
    files = [_file(installation.data / f"parallel-{number}.mp4", size) for number in range(AT_ONCE)]
    before = installation.family.written(WEB)
    with _watched(installation, result), ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda file: _send(site, file), files))
    result.written, result.uploaded = installation.family.written(WEB) - before, AT_ONCE * size
    return result


def _site(installation: Installation) -> Site:
    command = [sys.executable, "manage.py", "token", "create", "bench", "--scopes", "upload"]
    made = subprocess.run(command, cwd=BASE, env=installation.env, check=True, capture_output=True, text=True)
    return Site(f"http://127.0.0.1:{installation.port}", made.stdout.splitlines()[-1])


def _file(path: Path, size: int) -> Path:
    """Make a file without blocks, so that reading it costs nothing; the site writes every byte."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def _send(site: Site, file: Path) -> None:
    FileUpload(site, file, "", lambda sent, note: None).run({})


def _seconds(call: Callable[[], object]) -> float:
    os.sync()  # else the disk is still writing the upload before
    started = time.monotonic()
    call()
    return time.monotonic() - started


@contextmanager
def _watched(installation: Installation, result: Uploads) -> Iterator[None]:
    """Note the memory of the web server's processes while the block lasts."""
    before, ended = _private(installation), threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_SECONDS):
            for pid, size in _private(installation).items():
                result.memory = max(result.memory, size - before.get(pid, size))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _private(installation: Installation) -> dict[int, int]:
    """Return the bytes of private memory of each process of the web server."""
    found = {}
    for process in installation.family.members():
        with suppress(OSError, StopIteration):
            if program_of(process) == WEB:
                lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
                found[process.pid] = 1024 * int(next(line for line in lines if line.startswith("RssAnon:")).split()[1])
    return found
