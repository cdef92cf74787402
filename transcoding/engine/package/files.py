"""What a disk and an object store do differently. No Django here.

Each function works on a path of this machine; `videos.storage.objects` registers the object store's implementation.
Everything else is done through the methods of paths, which both have.
"""

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import TypeVar

UNFINISHED = ".part"

Result = TypeVar("Result")


class StoreError(OSError):
    """The storage did not do what it was asked; the message says what to do."""


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Reading:
    """What ffmpeg opens a file as; check raises what keeps the file's bytes from coming."""

    address: str
    check: Callable[[], None] = _nothing


Open = Callable[[str], AbstractContextManager[Reading]]


@contextmanager
def as_it_is(source: str) -> Iterator[Reading]:
    """Of a source that ffmpeg opens under its own name."""
    yield Reading(source)


@singledispatch
def store(path: Path, data: bytes, *, replace: bool = True) -> bool:
    """Write a file so that it appears under its name only when it is whole.

    With replace=False a file that is already there stays. Returns whether this call put the file there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            part.replace(path)
            return True
        with suppress(FileExistsError):
            os.link(part, path)
            return True
        return False
    finally:
        part.unlink(missing_ok=True)


@singledispatch
def copy(path: Path, source: Path) -> None:
    """Copy a file of this machine, so that it appears under its new name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        shutil.copyfile(source, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@singledispatch
def names(folder: Path) -> list[str]:
    """The names in a folder, in no order; none where it is not there."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - names only, thousands of them
    except FileNotFoundError:
        return []


@singledispatch
def sizes(folder: Path) -> dict[str, int]:
    """The bytes of all files below a folder by their names in it; one that goes in the meantime has none."""
    found = {}
    for parent, _, entries in os.walk(folder):
        for name in entries:
            path = Path(parent, name)
            with suppress(FileNotFoundError):
                found[str(path.relative_to(folder))] = path.stat().st_size
    return found


@singledispatch
def remove(folder: Path) -> None:
    """Delete a folder with all that is in it; no harm where it is not there."""
    shutil.rmtree(folder, onerror=_unless_gone)


def _unless_gone(function: object, path: object, failure: tuple[object, BaseException, object]) -> None:
    if not isinstance(failure[1], FileNotFoundError):
        raise failure[1]


@singledispatch
def move(source: Path, target: Path) -> None:
    """Move a folder; where the target is there (a worker wrote until it noticed), file by file what it has not."""
    if not source.is_dir():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        for name in sizes(source):
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if not place.exists():
                with suppress(FileNotFoundError):
                    (source / name).rename(place)
        remove(source)


@singledispatch
def sync(folder: Path) -> None:
    """Make the names in a folder and in those below it last through a power failure."""
    for each in (folder, *(entry for entry in folder.iterdir() if entry.is_dir())):
        descriptor = os.open(each, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@singledispatch
def touched(path: Path) -> float:
    """When a file, or what lies in a folder, was last written or named, as a time stamp."""
    return path.stat().st_ctime  # a folder that is renamed keeps its time of modification


@singledispatch
def version(path: Path) -> str:
    """An entity tag (RFC 9110), another one whenever the file is replaced."""
    stat = path.stat()
    return f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'


@singledispatch
def over(folder: Path, call: Callable[[Path], Result], paths: Iterable[Path]) -> Iterator[Result]:
    """The call of each of a folder's files, in order; several at a time where each has to be waited for."""
    return map(call, paths)


@singledispatch
def reading(path: Path) -> AbstractContextManager[Reading]:
    """Have a file read by ffmpeg as long as the block lasts, which ends with what kept its bytes from coming."""
    return as_it_is(str(path))


@singledispatch
def receive(path: Path, arrived: Path, tell: Callable[[int], None]) -> None:
    """Put a file in its place that has arrived on this machine; tell is called now and then, with the percentage sent.

    Killed on any line and called again it goes on; the file that arrived goes once the one in its place is whole.
    """


@singledispatch
def fail_fast(path: Path) -> Path:
    """Return the same file for a request that holds a thread meanwhile: better an error than a late answer."""
    return path


@singledispatch
def read_range(path: Path, start: int, end: int) -> bytes:
    """Return the bytes of a file from an offset up to another one."""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(end - start)


@singledispatch
def address(path: Path, method: str, *, granted: bool = False, disposition: str = "") -> str:
    """Where the store itself answers a request for a file; empty where only this program can.

    granted: the request was let by a grant, which may end soon, so the address does. disposition: the header
    Content-Disposition of the answer, which only an address with granted has.
    """
    return ""
