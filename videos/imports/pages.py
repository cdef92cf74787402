"""The video of a page, fetched by the operator's `yt-dlp`, confined like ffmpeg: one folder, one port, no secrets."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from transcoding.engine.ffmpeg.confinement import Rights
from transcoding.engine.ffmpeg.processes import FfmpegError, Limits, Program
from transcoding.queue import disk_quota
from videos.imports import proxy
from videos.imports.details import of_upload
from videos.imports.folder import Entry, look
from videos.imports.taking import Options, take
from videos.models import Video
from videos.storage.paths import scratch
from vlog import disk

LIMITS = Limits(memory=2 << 30)
PATIENCE = 6 * 3600  # seconds
TICK = 1.0  # seconds between two looks
LOW = "The disk became full. Free some space, then retry it."
NOTHING = "The program found no video there."


class PageError(Exception):
    """The video of a page could not be fetched; the message says why."""


def fetch(address: str, fields: Mapping[str, Any], goes_on: Callable[[], bool]) -> tuple[Video | None, list[str]]:
    """Make a video of that of a page; returns it with notes, and None where goes_on returned False.

    Raises PageError, and what `take` raises.
    """
    if not settings.IMPORTS.pages:
        raise PageError("Pages cannot be imported here: the operator has not set VLOG_YT_DLP.")
    most = disk_quota.available()
    with scratch() as folder:
        if not _run(address, Path(folder), most, goes_on):
            return None, []
        entries = look(Path(folder)).entries
        if not entries:
            raise PageError(NOTHING)
        return _taken(max(entries, key=lambda entry: entry.path.stat().st_size), fields)


def arguments(address: str, folder: Path, port: int, most: int) -> list[str]:
    """Return the arguments of yt-dlp. What begins with - cannot be an address, and `--` says so."""
    return [
        *("--no-config", "--no-playlist", "--no-progress", "--no-part", "--no-mtime", "--no-cache-dir"),
        *("--proxy", f"http://127.0.0.1:{port}", "--max-filesize", str(most), "--retries", "3"),
        *("--write-info-json", "--write-subs", "--restrict-filenames"),
        *("-o", f"{folder}/%(title).150B.%(ext)s", "--", address),
    ]


def _run(address: str, folder: Path, most: int, goes_on: Callable[[], bool]) -> bool:
    """Run the program to its end; False where goes_on returned False. Raises PageError."""
    end = time.monotonic() + PATIENCE
    with proxy.serving(most) as served:
        command = [*settings.IMPORTS.pages, *arguments(address, folder, served.port, most)]
        rights = Rights(folders=(str(folder),), ports=(served.port,))
        try:
            with Program(command, LIMITS, rights) as program:
                while not program.has_ended(TICK):
                    if not goes_on():
                        return False
                    _check(end, served)
                program.finish(1)
        except (FfmpegError, OSError) as error:
            raise PageError(served.refusal or _last_line(error)) from error
    return True


def _check(end: float, served: proxy.Proxy) -> None:
    if disk.usage().is_low:
        raise PageError(LOW)
    if served.left < 0:
        raise PageError("The video is larger than the space that is available.")
    if time.monotonic() > end:
        raise PageError(f"It was not fetched within {PATIENCE // 3600} hours.")


def _last_line(error: Exception) -> str:
    return f"The page could not be fetched: {str(error).splitlines()[-1][:300]}"


def _taken(entry: Entry, fields: Mapping[str, Any]) -> tuple[Video, list[str]]:
    """Make a video of what was fetched. Raises what `take` raises."""
    taken = take(entry, of_upload(fields), Options(link=True))
    if taken.video is None:
        raise PageError(NOTHING)
    return taken.video, taken.notes
