"""Paths in an S3-compatible object store: what `videos.storage.paths` hands out where VLOG_STORAGE_URL is set.

An object is there whole or not at all, so nothing is written under a temporary name. There are no folders: one is there
as long as something lies below it. The functions below implement `transcoding.engine.package.files` for the store.
"""

import errno
import hashlib
import io
import os
import stat
from base64 import b64encode
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PosixPath
from typing import Any, Self

from django.conf import settings

from transcoding.engine.contract import LeaseLost, ShuttingDown, Yield
from transcoding.engine.package import files
from transcoding.engine.package.files import Reading, Result, StoreError
from transcoding.engine.source.loopback import Source, SourceServer
from videos.storage import delivery
from videos.storage.bucket import ask, bucket, fetch, listed, translate_errors

BLOCK = 64 << 10  # bytes that are read at once: the headers of most files
LONGEST_BLOCK = 1 << 20  # bytes, where it is read on and on
PART = 16 << 20  # bytes of a piece of an upload
MOST_PARTS = 9000  # of one upload; S3 takes 10 000
UPLOADING = 4  # pieces at once
LARGEST_COPY = 5 << 30  # bytes that S3 copies with one request
AT_ONCE = 16  # requests for many small files
TOLD = 5  # seconds between two signs of life of an upload
SIGNED = 900  # seconds for which a signed address is good


class ObjectPath(PosixPath):
    """One object, or all those below a name. Raises StoreError besides what a Path raises.

    It has no name on this machine, so whatever of a Path is not answered here fails at once.
    """

    fail_fast = False
    _known: os.stat_result | None = None
    _tag = ""

    def __fspath__(self) -> str:
        raise TypeError(f"{self} lies in the object store, not on this machine")

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """As it was when the store was asked first."""
        return self._known or self._learn(ask("head_object", self))

    def tag(self) -> str:
        """Its entity tag, of the same moment."""
        return self.stat() and self._tag

    def _learn(self, told: dict[str, Any]) -> os.stat_result:
        size: int = told["Size"] if "Size" in told else told["ContentLength"]
        seconds = int(told["LastModified"].timestamp())
        self._known = os.stat_result((stat.S_IFREG | 0o400, 0, 0, 1, 0, 0, size, seconds, seconds, seconds))
        self._tag = told["ETag"]
        return self._known

    def _forget(self) -> None:
        self._known = None

    def is_file(self) -> bool:
        with suppress(FileNotFoundError):
            return bool(self.stat())
        return False

    def is_dir(self) -> bool:
        return next(listed(f"{bucket().key(self)}/", MaxKeys=1), None) is not None

    def exists(self) -> bool:
        return self.is_file() or self.is_dir()

    def open(self, mode: str = "rb") -> io.BufferedReader:  # type: ignore[override]
        if mode != "rb":
            raise ValueError(f"{self} is written whole, by files.store")
        return io.BufferedReader(_Reader(self), BLOCK)

    def read_bytes(self) -> bytes:
        return fetch(self)

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def iterdir(self) -> Generator[Self, None, None]:
        yield from self._entries()

    def _entries(self, beginning: str = "") -> Iterator[Self]:
        """What lies right below it, of names that begin so."""
        prefix = f"{bucket().key(self)}/"
        for told in listed(prefix + beginning, Delimiter="/"):
            yield self._child(told, prefix)

    def _child(self, told: dict[str, Any], prefix: str) -> Self:
        child = self / str(told.get("Key") or told["Prefix"]).removeprefix(prefix).rstrip("/")
        if "Key" in told:
            child._learn(told)
        return child

    def glob(self, pattern: str) -> Generator[Self, None, None]:
        first, _, rest = pattern.partition("/")
        beginning = first[: min((first.index(sign) for sign in "*[?" if sign in first), default=len(first))]
        for entry in self._entries(beginning):
            if fnmatchcase(entry.name, first):
                yield from entry.glob(rest) if rest else (entry,)

    def rglob(self, pattern: str) -> Generator[Self, None, None]:
        """Files only."""
        prefix = f"{bucket().key(self)}/"
        for told in listed(prefix):
            if fnmatchcase(told["Key"].rpartition("/")[2], pattern):
                yield self._child(told, prefix)

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing, but where it would lie in nothing."""
        if not parents and not self.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "There is no such folder in the object store", str(self.parent))

    def rmdir(self) -> None:
        """It goes with what lies in it."""

    def unlink(self, missing_ok: bool = False) -> None:
        self._forget()
        ask("delete_object", self)

    def touch(self, mode: int = 0o666, exist_ok: bool = True) -> None:
        """An empty object."""
        self._forget()
        ask("put_object", self, Body=b"")

    def replace(self, target: Any) -> Self:
        """Not at once: for a moment it lies at both places."""
        _copy(self, target)
        self.unlink()
        return self.__class__(target)


class _Reader(io.RawIOBase):
    """An object read by ranges: those that are asked for, and more where it is read on and on."""

    def __init__(self, path: ObjectPath) -> None:
        self._path, self._at, self._start, self._run = path, 0, 0, BLOCK
        self._block, self._size = _fetch_first(path)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self._size:
            return 0
        end = self._start + len(self._block)
        if not self._start <= self._at < end:
            self._run = min(2 * self._run, LONGEST_BLOCK) if self._at == end else BLOCK
            self._start = self._at
            self._block = fetch(self._path, self._at, min(self._at + self._run, self._size))
        data = self._block[self._at - self._start :][: len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _fetch_first(path: ObjectPath) -> tuple[bytes, int]:
    """The first block of an object, and how many bytes it has."""
    size = path.stat().st_size
    return (fetch(path, 0, min(size, BLOCK)) if size else b""), size


def _copy(source: ObjectPath, target: ObjectPath) -> None:
    there = bucket()
    origin = {"Bucket": there.name, "Key": there.key(source)}
    if source.stat().st_size < LARGEST_COPY:
        ask("copy_object", target, CopySource=origin)
    else:
        with translate_errors("copy", source):
            there.client.copy(origin, there.name, there.key(target))


def _each(call: Callable[[Any], object], paths: Iterable[Any]) -> None:
    """Some at a time; raises what the first raises that fails."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
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
        return bool(error.errno)  # asked more than once: the answer to the first time was lost
    return True


@files.names.register
def _(folder: ObjectPath) -> list[str]:
    return [entry.name for entry in folder.iterdir()]


@files.sizes.register
def _(folder: ObjectPath) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*")}


@files.remove.register
def _(folder: ObjectPath) -> None:
    _each(ObjectPath.unlink, list(folder.rglob("*")))


@files.move.register
def _(source: ObjectPath, target: ObjectPath) -> None:
    found, there = list(source.rglob("*")), files.sizes(target)
    missing = [path for path in found if str(path.relative_to(source)) not in there]
    _each(lambda path: _copy(path, target / path.relative_to(source)), missing)
    _each(ObjectPath.unlink, found)


@files.sync.register
def _(folder: ObjectPath) -> None:
    """What the store has taken, it keeps."""


@files.touched.register
def _(path: ObjectPath) -> float:
    there = [path] if path.is_file() else path.rglob("*")
    return max((each.stat().st_mtime for each in there), default=0)


@files.version.register
def _(path: ObjectPath) -> str:
    return path.tag()


@files.over.register
def _(folder: ObjectPath, call: Callable[[Path], Result], paths: Iterable[Path]) -> Iterator[Result]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(call, paths)


class _Original(Source):
    """A source in the store. The first failure stands: what comes after it would be put together from pieces."""

    over = (OSError,)

    def __init__(self, path: ObjectPath) -> None:
        super().__init__(path.stat().st_size, (str(path), path.tag()))
        self._path = path
        self.error: OSError | None = None

    def fetch(self, start: int, end: int) -> bytes:
        self.check()
        try:
            return fetch(self._path, start, end)
        except OSError as error:
            self.error = error
            raise

    def check(self) -> None:
        if self.error is not None:
            raise self.error


@cache
def _server_of(process: int) -> SourceServer:
    return SourceServer()


class _Served:
    def __init__(self, path: ObjectPath) -> None:
        self._path = path

    def __enter__(self) -> Reading:
        self._server, self._source = _server_of(os.getpid()), _Original(self._path)
        return Reading(self._server.serve(self._source), self._source.check)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._server.withdraw(self._source)
        if not isinstance(error, LeaseLost | Yield | ShuttingDown):
            self._source.check()  # that is why whoever read it failed, too


@files.reading.register
def _(path: ObjectPath) -> _Served:
    return _Served(path)


@files.receive.register
def _(path: ObjectPath, arrived: Path, tell: Callable[[], None]) -> None:
    if not arrived.exists():
        return
    size = arrived.stat().st_size
    if not _is_whole(path, size):
        if size <= PART:
            files.store(path, arrived.read_bytes())
        else:
            _upload(path, arrived, size, tell)
        if not _is_whole(path, size):
            raise StoreError(f"{path} is not in the object store as it was sent. It is sent again.")
    arrived.unlink(missing_ok=True)
    with suppress(OSError):
        arrived.parent.rmdir()


def _is_whole(path: ObjectPath, size: int) -> bool:
    """An original's address is its own for good: what lies there with its size is it."""
    return (now := ObjectPath(path)).is_file() and now.stat().st_size == size


def _upload(path: ObjectPath, file: Path, size: int, tell: Callable[[], None]) -> None:
    """Send a file in pieces; goes on where one that was killed left off."""
    length = max(PART, -(-size // MOST_PARTS))
    number_of = range(1, -(-size // length) + 1)
    upload = _begun(path) or ask("create_multipart_upload", path, **_headers(path))["UploadId"]
    there = _parts(path, upload)

    def send(number: int) -> dict[str, Any]:
        with file.open("rb") as opened:
            opened.seek((number - 1) * length)
            data = opened.read(length)
        digest = hashlib.md5(data, usedforsecurity=False)
        tag = f'"{digest.hexdigest()}"'
        if there.get(number) != tag:
            md5 = b64encode(digest.digest()).decode()
            tag = ask("upload_part", path, UploadId=upload, PartNumber=number, Body=data, ContentMD5=md5)["ETag"]
        return {"PartNumber": number, "ETag": tag}

    with ThreadPoolExecutor(UPLOADING) as pool:
        parts = _await([pool.submit(send, number) for number in number_of], tell)
    ask("complete_multipart_upload", path, UploadId=upload, MultipartUpload={"Parts": parts})


def _await(futures: list[Future[dict[str, Any]]], tell: Callable[[], None]) -> list[dict[str, Any]]:
    left: set[Future[dict[str, Any]]] = set(futures)
    try:
        while left:
            done, left = wait(left, TOLD)
            for future in done:
                future.result()
            tell()
    finally:
        for future in left:
            future.cancel()
    return [future.result() for future in futures]


def _begun(path: ObjectPath) -> str | None:
    """The upload of this very object that somebody began and did not complete."""
    there = bucket()
    with translate_errors("list_multipart_uploads", path):
        told = there.client.list_multipart_uploads(Bucket=there.name, Prefix=there.key(path))
    found = [each["UploadId"] for each in told.get("Uploads", ()) if each["Key"] == there.key(path)]
    return found[-1] if found else None


def _parts(path: ObjectPath, upload: str) -> dict[int, str]:
    there = bucket()
    asked = {"Bucket": there.name, "Key": there.key(path), "UploadId": upload}
    with translate_errors("list_parts", path):
        pages = list(there.client.get_paginator("list_parts").paginate(**asked))
    return {part["PartNumber"]: part["ETag"] for page in pages for part in page.get("Parts", ())}


@files.fail_fast.register
def _(path: ObjectPath) -> ObjectPath:
    fail_fast = ObjectPath(path)
    fail_fast.fail_fast = True
    return fail_fast


@files.address.register
def _(path: ObjectPath, method: str) -> str:
    if settings.MEDIA_BASE_URL:
        return f"{settings.MEDIA_BASE_URL}/{path}"
    there = bucket()
    operation = "head_object" if method == "HEAD" else "get_object"
    asked = {"Bucket": there.name, "Key": there.key(path)}
    address: str = there.client.generate_presigned_url(operation, Params=asked, ExpiresIn=SIGNED)
    return address
