"""The content of a file on its way into the uploads folder: copied or linked, and hashed in the same pass."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from transcoding.engine.work import is_disk_full
from transcoding.queue import disk_quota
from videos.imports.folder import Refused

BLOCK = 1 << 20  # bytes at a time
CANNOT_LINK = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOENT)


@dataclass(frozen=True)
class Original:
    """A file in the uploads folder with the content of the editor's file; linked: it is the same file."""

    path: Path
    size: int
    sha256: str
    linked: bool = False

    def discard(self) -> None:
        self.path.unlink(missing_ok=True)


def nothing() -> None:
    pass


def digest(
    file: BinaryIO, tick: Callable[[], object] = nothing, write: Callable[[bytes], object] = lambda block: None
) -> str:
    """Read a file from its beginning, and return its SHA-256 in hexadecimal digits."""
    file.seek(0)
    hashing = sha256()
    while block := file.read(BLOCK):
        hashing.update(block)
        write(block)
        tick()
    return hashing.hexdigest()


def bring(file: BinaryIO, *, link: bool = False, known: str = "", tick: Callable[[], object] = nothing) -> Original:
    """Copy a file into the uploads folder, or link it if that is possible there. known: its SHA-256, if it was read.

    Raises Refused and InsufficientSpace, and leaves nothing then.
    """
    settings.UPLOADS_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    before = os.fstat(file.fileno())
    original = _linked(file, known, tick) if link else None
    original = original or _copied(file, before.st_size, tick)
    after = os.fstat(file.fileno())
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns) or original.size != before.st_size:
        original.discard()
        raise Refused("It was changed while it was read. Import it when it is complete.")
    return original


def _linked(file: BinaryIO, known: str, tick: Callable[[], object]) -> Original | None:
    """Return a hard link to a file; None where its file system is another one, or forbids it."""
    path = Path(tempfile.mktemp(prefix="import-", dir=settings.UPLOADS_DIR))  # noqa: S306 - os.link replaces nothing
    try:
        # With a descriptor of a folder, which an absolute path does not use: os.link follows the link only then.
        os.link(f"/proc/self/fd/{file.fileno()}", path, src_dir_fd=file.fileno(), follow_symlinks=True)
    except OSError as error:
        if error.errno not in CANNOT_LINK:
            raise
        return None
    with deleted_after_error(path):
        return Original(path, os.fstat(file.fileno()).st_size, known or digest(file, tick), linked=True)


def _copied(file: BinaryIO, size: int, tick: Callable[[], object]) -> Original:
    descriptor, name = tempfile.mkstemp(prefix="import-", dir=settings.UPLOADS_DIR)
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as copy, deleted_after_error(path):
            disk_quota.allocate(copy.fileno(), size)
            found = digest(file, tick, copy.write)
            copy.truncate()  # what was allocated and is not needed
            return Original(path, copy.tell(), found)
    except OSError as error:
        if is_disk_full(error):
            sentence = "The disk became full. Free some space, then import it again."
            raise disk_quota.InsufficientSpace(sentence) from error
        raise Refused(f"It cannot be copied: {error.strerror}.") from error


@contextmanager
def deleted_after_error(path: Path) -> Iterator[None]:
    """Delete a file that is being written if the block fails, whatever the reason."""
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def space_for(sizes: int) -> str:
    """Return why files of so many bytes in all do not fit now; empty where they do."""
    if disk_quota.fits(sizes):
        return ""
    free = disk_quota.readable(disk_quota.available())
    return (
        f"The files have {disk_quota.readable(sizes)}, and {free} are available. Nothing was imported. Free some "
        "space, import a part of them, or use --link if they are on the same disk."
    )


def is_same_disk(path: Path) -> bool:
    """Return whether files there can probably be linked into the uploads folder."""
    with suppress(OSError):
        return path.stat().st_dev == settings.UPLOADS_DIR.stat().st_dev
    return False
