"""What removes uploads that are not continued, and finishes those that a killed process has left complete."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from transcoding.steps.file_versions import VersionError
from videos import arrivals
from videos.models import Upload
from videos.storage.paths import is_elsewhere
from videos.uploads import completion, transfer

LEFTOVER_SECONDS = 24 * 3600  # what is being imported is written to more often
UPLOAD = ".upload"  # how the files end that the web server locks while they arrive by a form
LOCKED_SECONDS = 60  # after which such a file is certainly locked


def finish_arrived() -> int:
    """Make the videos of uploads whose processes were killed after the last byte; returns how many."""
    finished = 0
    for upload in [row for row in Upload.objects.unfinished() if transfer.offset_of(row) == row.size]:
        # A replacement waits as long as another one is being made.
        waits = (transfer.InUse, transfer.Finished, transfer.Gone, VersionError)
        with suppress(*waits), transfer.locked(upload):
            completion.complete(upload)
            finished += 1
    return finished


def purge_expired() -> int:
    """Delete the uploads that got no byte for a week, and old rows of finished ones; returns how many of the first."""
    unfinished = Upload.objects.expired().unfinished().count()
    for upload in Upload.objects.expired():
        with suppress(transfer.InUse):
            transfer.discard(upload)
    return unfinished


def sweep_leftovers() -> int:
    """Remove the leftovers of killed processes; return how many there were."""
    found = leftovers()
    for path in found:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(found)


def look_after(goes_on: Callable[[], bool]) -> None:
    """Start a thread that sends arrived originals to the object store and cares for uploads on this machine's disk.

    Every process of the web server runs it, until goes_on returns False. Without an object store the workers do all
    of it.
    """
    if is_elsewhere():
        arrivals.start(_care, goes_on)


def _care() -> None:
    finish_arrived()
    sweep_leftovers()


def leftovers() -> list[Path]:
    """Return the entries of the uploads folder that killed processes have left: uploads at once, others after a day."""
    age = {path: time.time() - _last_written(path) for path in settings.UPLOADS_DIR.iterdir()}
    kept = {f"{key}{transfer.SUFFIX}" for key in Upload.objects.with_files().values_list("key", flat=True)}
    arriving = [path for path in age if path.suffix in (UPLOAD, transfer.SUFFIX) and path.name not in kept]
    killed = [path for path in arriving if age[path] > LOCKED_SECONDS and not _is_locked(path)]
    old = [path for path in age if path not in killed and path.name not in kept and age[path] > LEFTOVER_SECONDS]
    opened = _open_files() if old else set()
    return [*killed, *(path for path in old if not any(Path(name).is_relative_to(path) for name in opened))]


def _is_locked(path: Path) -> bool:
    """Return whether a process of any machine is receiving the file; also True where files cannot be locked."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _last_written(path: Path) -> float:
    """Return when a file, or any entry of a folder, was last written, as a time stamp; now if it was deleted."""
    try:
        return max(one.stat().st_mtime for one in (path, *path.rglob("*")))
    except FileNotFoundError:
        return time.time()


def _open_files() -> set[str]:
    """Return the files that processes of this machine have open, as far as this user may see them."""
    names = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # it was closed meanwhile, or belongs to another user
            names.add(os.readlink(link))  # noqa: PTH115 - the link may name something other than a path
    return names
