"""Paths in an S3-compatible object store: what `videos.storage.paths` returns where VLOG_STORAGE_URL is set.

An object appears whole or not at all, so nothing is written under a temporary name. There are no folders: a folder
exists as long as an object lies below it. The functions below implement `transcoding.engine.package.files`.
"""

import errno
import hashlib
import io
import os
import stat
from base64 import b64encode
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path, PosixPath
from typing import Any, Self

from django.conf import settings

from transcoding.engine.package import files
from transcoding.engine.package.files import Result, StoreError
from videos.storage import delivery, multipart
from videos.storage.bucket import ask, bucket, fetch, listed, listed_keys, translate_errors
from videos.storage.reader import BLOCK, LoopbackReading, ObjectReader

LARGEST_COPY = 5 << 30  # bytes that S3 copies with one request
PARALLEL_REQUESTS = 16  # for many small files
FEW = 10  # keys of a listing that looks for one file: some may stand for folders
SIGNED_SECONDS = 900  # for which a signed address is valid
GRANTED_SECONDS = 60  # the same, where a grant let the request


class ObjectPath(PosixPath):
    """One object, or all objects below a name. Raises StoreError besides the errors of a Path.

    It has no name on this machine, so methods of Path that are not overridden here fail at once.
    """

    fail_fast = False
    _head: os.stat_result | None = None
    _tag = ""

    def __fspath__(self) -> str:
        raise TypeError(f"{self} lies in the object store, not on this machine")

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return the size and times that the store reported first."""
        return self._head or self._remember(ask("head_object", self))

    def tag(self) -> str:
        """Return the entity tag that the store reported with `stat`."""
        self.stat()
        return self._tag

    def _remember(self, entry: dict[str, Any]) -> os.stat_result:
        size: int = entry["Size"] if "Size" in entry else entry["ContentLength"]
        seconds = int(entry["LastModified"].timestamp())
        self._head = os.stat_result((stat.S_IFREG | 0o400, 0, 0, 1, 0, 0, size, seconds, seconds, seconds))
        self._tag = entry["ETag"]
        return self._head

    def _forget(self) -> None:
        self._head = None

    def is_file(self) -> bool:
        with suppress(FileNotFoundError):
            return bool(self.stat())
        return False

    def is_dir(self) -> bool:
        return next(listed(f"{bucket().key(self)}/", MaxKeys=FEW), None) is not None

    def exists(self) -> bool:
        return self.is_file() or self.is_dir()

    def open(self, mode: str = "rb") -> io.BufferedReader:  # type: ignore[override]
        if mode != "rb":
            raise ValueError(f"{self} can only be written as a whole, by files.store")
        return io.BufferedReader(ObjectReader(self, self.stat().st_size), BLOCK)

    def read_bytes(self) -> bytes:
        return fetch(self)

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def iterdir(self) -> Generator[Self, None, None]:
        yield from self._entries()

    def _entries(self, beginning: str = "") -> Iterator[Self]:
        """Yield the direct children whose names begin with `beginning`."""
        prefix = f"{bucket().key(self)}/"
        for entry in listed(prefix + beginning, Delimiter="/"):
            yield self._child(entry, prefix)

    def _child(self, entry: dict[str, Any], prefix: str) -> Self:
        child = self / str(entry.get("Key") or entry["Prefix"]).removeprefix(prefix).rstrip("/")
        if "Key" in entry:
            child._remember(entry)
        return child

    def glob(self, pattern: str) -> Generator[Self, None, None]:
        first, _, rest = pattern.partition("/")
        beginning = first[: min((first.index(sign) for sign in "*[?" if sign in first), default=len(first))]
        for entry in self._entries(beginning):
            if fnmatchcase(entry.name, first):
                yield from entry.glob(rest) if rest else (entry,)

    def rglob(self, pattern: str) -> Generator[Self, None, None]:
        """Yield matching files at any depth; there are no folders to yield."""
        prefix = f"{bucket().key(self)}/"
        for entry in listed(prefix):
            if fnmatchcase(entry["Key"].rpartition("/")[2], pattern):
                yield self._child(entry, prefix)

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Create nothing; raise FileNotFoundError where the parent does not exist."""
        if not parents and not self.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "No such folder in the object store", str(self.parent))

    def rmdir(self) -> None:
        """Do nothing: a folder disappears with its last object."""

    def unlink(self, missing_ok: bool = False) -> None:
        self._forget()
        ask("delete_object", self)

    def touch(self, mode: int = 0o666, exist_ok: bool = True) -> None:
        """Store an empty object."""
        self._forget()
        ask("put_object", self, Body=b"")

    def replace(self, target: Any) -> Self:
        """Copy, then delete: for a moment the object exists under both names."""
        _copy(self, target)
        self.unlink()
        return self.__class__(target)


def _copy(source: ObjectPath, target: ObjectPath) -> None:
    store = bucket()
    origin = {"Bucket": store.name, "Key": store.key(source)}
    if source.stat().st_size < LARGEST_COPY:
        ask("copy_object", target, CopySource=origin)
    else:
        with translate_errors("copy", source):
            store.client.copy(origin, store.name, store.key(target))


def _each(call: Callable[[Any], object], paths: Iterable[Any]) -> None:
    """Call a function for many paths, several at a time; raise the first error."""
    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        for _ in pool.map(call, paths):
            pass


def _headers(path: ObjectPath) -> dict[str, str]:
    return {name.replace("-", ""): value for name, value in delivery.headers(path).items()}


@files.store.register
def _(path: ObjectPath, data: bytes, *, replace: bool = True) -> bool:
    path._forget()
    digest = b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
    condition = {} if replace else {"IfNoneMatch": "*"}
    try:
        ask("put_object", path, Body=data, ContentMD5=digest, **_headers(path), **condition)
    except FileExistsError as error:
        return bool(error.errno)  # a retry: the response to the first request was lost, and that one stored the object
    return True


@files.names.register
def _(folder: ObjectPath) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


@files.sizes.register
def _(folder: ObjectPath) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*")}


@files.remove.register
def _(folder: ObjectPath) -> None:
    """Delete the keys that stand for folders, too."""
    store = bucket()

    def delete(key: str) -> None:
        with translate_errors("delete_object", folder):
            store.client.delete_object(Bucket=store.name, Key=key)

    _each(delete, [entry["Key"] for entry in listed_keys(f"{store.key(folder)}/")])


@files.move.register
def _(source: ObjectPath, target: ObjectPath) -> None:
    found, existing = list(source.rglob("*")), files.sizes(target)
    missing = [path for path in found if str(path.relative_to(source)) not in existing]

    def copy(path: ObjectPath) -> None:
        with suppress(FileNotFoundError):  # who wrote it has noticed the move, and removed it
            _copy(path, target / path.relative_to(source))

    _each(copy, missing)
    _each(ObjectPath.unlink, found)


@files.sync.register
def _(folder: ObjectPath) -> None:
    """Do nothing: an object that the store has accepted is durable."""


@files.touched.register
def _(path: ObjectPath) -> float:
    found = [path] if path.is_file() else path.rglob("*")
    return max((each.stat().st_mtime for each in found), default=0)


@files.version.register
def _(path: ObjectPath) -> str:
    return path.tag()


@files.over.register
def _(folder: ObjectPath, call: Callable[[Path], Result], paths: Iterable[Path]) -> Iterator[Result]:
    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        yield from pool.map(call, paths)


@files.reading.register
def _(path: ObjectPath) -> LoopbackReading:
    return LoopbackReading(path, path.stat().st_size, path.tag())


@files.copy.register
def _(path: ObjectPath, source: Path) -> None:
    _send(path, source, lambda percent: None)


def _send(path: ObjectPath, file: Path, on_progress: Callable[[int], None]) -> None:
    """Store a file of this machine; an upload that was interrupted continues."""
    size = file.stat().st_size
    if size <= multipart.PART_SIZE:
        files.store(path, file.read_bytes())
    else:
        multipart.upload(path, file, size, _headers(path), on_progress)
    if not _is_complete(path, size):
        raise StoreError(f"{path} is not complete in the object store after its upload.")


@files.receive.register
def _(path: ObjectPath, arrived: Path, on_progress: Callable[[int], None]) -> None:
    if not arrived.exists():
        return
    if not _is_complete(path, arrived.stat().st_size):
        _send(path, arrived, on_progress)
    arrived.unlink(missing_ok=True)
    with suppress(OSError):
        arrived.parent.rmdir()


def _is_complete(path: ObjectPath, size: int) -> bool:
    """Whether the object has this size; its path belongs to one original only, so the size identifies it."""
    return (current := ObjectPath(path)).is_file() and current.stat().st_size == size


@files.fail_fast.register
def _(path: ObjectPath) -> ObjectPath:
    fail_fast = ObjectPath(path)
    fail_fast.fail_fast = True
    return fail_fast


@files.read_range.register
def _(path: ObjectPath, start: int, end: int) -> bytes:
    return fetch(path, start, end)


@files.address.register
def _(path: ObjectPath, method: str, *, granted: bool = False, disposition: str = "") -> str:
    if settings.MEDIA_BASE_URL and not granted:
        return f"{settings.MEDIA_BASE_URL}/{path}"
    store = bucket()
    operation = "head_object" if method == "HEAD" else "get_object"
    query = {"Bucket": store.name, "Key": store.key(path)}
    if disposition and operation == "get_object":
        query["ResponseContentDisposition"] = disposition
    seconds = GRANTED_SECONDS if granted else SIGNED_SECONDS
    address: str = store.client.generate_presigned_url(operation, Params=query, ExpiresIn=seconds)
    return address
