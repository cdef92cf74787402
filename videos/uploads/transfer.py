"""The files of resumable uploads, and how bytes come to them.

    uploads/<key>.tus       the bytes so far: the size of the file is the offset
    sources/<id>/original   the same file under its new name, from shortly before its video has a row

Only the process that has locked the file writes to it. The bytes to come are allocated behind its end.
"""

import fcntl
import hashlib
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Protocol

from django.conf import settings
from django.http import UnreadablePostError

from transcoding.engine.work import is_disk_full
from transcoding.queue import disk_quota
from videos.models import Upload, Video
from videos.storage.paths import arrival_path, is_elsewhere
from vlog import disk

SUFFIX = ".tus"
BLOCK = 64 << 10  # bytes that are read at a time; an interruption loses less than that
ALGORITHMS = ("sha1", "sha256", "md5")  # of checksums

DISK_FULL = "The server's disk became full. What has arrived is kept: continue when there is space again."


class InUse(Exception):
    """Another request is sending bytes to this upload."""


class Finished(Exception):
    """All bytes are here, and their video has been made."""


class Gone(Exception):
    """The upload was discarded, or its file is lost."""


class WrongOffset(Exception):
    """The bytes do not continue the file, which has `offset` bytes."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"The upload has {offset} bytes. Continue there.")


class TooMuch(Exception):
    """The request has more bytes than the upload still needs."""


class WrongChecksum(Exception):
    """The bytes were changed on their way."""


class Interrupted(Exception):
    """The client sent fewer bytes than it announced."""


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Body:
    """The bytes of one request, as it announces them. checksum: the name of an algorithm and a digest."""

    stream: Readable
    length: int
    offset: int
    checksum: tuple[str, bytes] | None = None


def path_of(upload: Upload) -> Path:
    """Return where the file of an upload is, or will be."""
    path = settings.UPLOADS_DIR / f"{upload.key}{SUFFIX}"
    if upload.video_id is not None and not path.exists():
        return arrival_path(Video(pk=upload.video_id, source_name=upload.name))
    return path


def offset_of(upload: Upload) -> int:
    """Return how many bytes of an upload are here."""
    if upload.finished_at is not None:
        return upload.size
    try:
        size = path_of(upload).stat().st_size
    except FileNotFoundError:
        return 0
    return min(size, upload.offset) if upload.unverified else size


@contextmanager
def locked(upload: Upload) -> Iterator[FileIO]:
    """Open the file of an unfinished upload for this thread alone. Raises InUse, Finished and Gone."""
    with _opened(upload) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InUse from error
        # Another request may have finished or discarded it before this one had the lock.
        _refresh(upload)
        yield file


def _opened(upload: Upload) -> FileIO:
    try:
        return FileIO(path_of(upload), "r+b")
    except FileNotFoundError as error:
        chosen = upload.video_id
        _refresh(upload)
        if upload.video_id != chosen:  # it got its new name at this moment
            raise InUse from error
        if not is_elsewhere():  # with several web servers, the file may be on the disk of another one
            upload.delete()  # it is lost, as after a backup was restored
        raise Gone from error


def _refresh(upload: Upload) -> None:
    """Read the row again. Raises Finished and Gone."""
    try:
        upload.refresh_from_db()
    except Upload.DoesNotExist as error:
        raise Gone from error
    if upload.finished_at is not None:
        raise Finished


def begin(upload: Upload) -> None:
    """Save a new upload, and create its file with the announced bytes allocated. Raises InsufficientSpace.

    Call it in a transaction: a file without a row is deleted by the sweep.
    """
    with FileIO(os.open(path_of(upload), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+b") as file:
        try:
            upload.allocated = disk_quota.allocate(file.fileno(), upload.size)
            upload.save(force_insert=True)
        except disk_quota.InsufficientSpace:
            path_of(upload).unlink()
            raise


def receive(upload: Upload, file: FileIO, body: Body) -> None:
    """Append the bytes of a request to the file of an upload, which is locked.

    Whatever happens, the bytes that have arrived are kept, unless they came with a checksum that does not match or
    could not be compared. Raises WrongOffset, TooMuch, WrongChecksum, Interrupted, and InsufficientSpace.
    """
    start = offset_of(upload)
    if body.offset != start:
        raise WrongOffset(start)
    if body.length > upload.size - start:
        raise TooMuch
    _prepare(upload, file, start)
    if body.checksum:
        upload.doubt(start)
    is_verified = False
    try:
        digest = _copy(upload, file, body)
        is_verified = not body.checksum or hmac.compare_digest(digest, body.checksum[1])
    finally:
        if body.checksum and not is_verified:
            file.truncate(start)
        # Before the row says so, because a power failure must not take bytes that were acknowledged.
        os.fsync(file.fileno())
        upload.advance(os.fstat(file.fileno()).st_size)
    if not is_verified:
        raise WrongChecksum


def _prepare(upload: Upload, file: FileIO, start: int) -> None:
    """Go to the end of what counts, with the bytes to come allocated. Raises InsufficientSpace."""
    status = os.fstat(file.fileno())
    if status.st_size > start:
        file.truncate(start)
    # A truncation has also freed what was allocated.
    if upload.allocated and os.fstat(file.fileno()).st_blocks * 512 < upload.size:
        disk_quota.allocate(file.fileno(), upload.size, held=start)
    file.seek(start)


def _copy(upload: Upload, file: FileIO, body: Body) -> bytes:
    """Write the bytes of a request, and return their digest. Raises Interrupted and InsufficientSpace."""
    hashing = hashlib.new(body.checksum[0], usedforsecurity=False) if body.checksum else None
    remaining = body.length
    while remaining:
        try:
            block = body.stream.read(min(remaining, BLOCK))
        except UnreadablePostError as error:
            raise Interrupted from error
        if not block:
            raise Interrupted
        _write(upload, file, block)
        remaining -= len(block)
        if hashing:
            hashing.update(block)
    return hashing.digest() if hashing else b""


def _write(upload: Upload, file: FileIO, block: bytes) -> None:
    if not upload.allocated and disk.usage().is_low:
        raise disk_quota.InsufficientSpace(DISK_FULL)
    rest = memoryview(block)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise disk_quota.InsufficientSpace(DISK_FULL) from error


def discard(upload: Upload) -> None:
    """Delete an upload, and its file unless that is a video's. Raises InUse."""
    try:
        with locked(upload):
            _delete(upload)
    except Finished:
        _delete(upload)
    except Gone:
        Upload.objects.filter(pk=upload.pk).delete()


def _delete(upload: Upload) -> None:
    path, is_a_videos = path_of(upload), upload.finished_at is not None and upload.video_id is not None
    upload.delete()
    if not is_a_videos:
        path.unlink(missing_ok=True)
