"""Paths in an S3-compatible object store: what `videos.storage` hands out where VLOG_STORAGE_URL is set.

An object is there whole or not at all, so nothing is written under a temporary name. There are no folders: one is there
as long as something lies below it. Below stands how the store does what `transcoding.files` does on a disk.
"""

import errno
import hashlib
import io
import os
import random
import stat
import time
from base64 import b64encode
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PosixPath, PurePosixPath
from typing import Any, Self

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files.storage import storages

from transcoding import files
from transcoding.contract import Enough, LeaseLost, Stopping
from transcoding.files import Reading, Result, StoreError
from transcoding.loopback import Source, SourceServer
from videos import delivery

BLOCK = 64 << 10  # bytes that are read at once: the headers of most files
LONGEST_BLOCK = 1 << 20  # bytes, where it is read on and on
PART = 16 << 20  # bytes of a piece of an upload
MOST_PARTS = 9000  # of one upload; S3 takes 10 000
UPLOADING = 4  # pieces at once
LARGEST_COPY = 5 << 30  # bytes that S3 copies with one request
AT_ONCE = 16  # requests for many small files
RESUMED, LONGEST_PAUSE = 6, 8  # times that a torn answer is asked for again, and seconds before that at most
TOLD = 5  # seconds between two signs of life of an upload
SIGNED = 900  # seconds for which a signed address is good
# A busy or absent store is asked six times, within about half a minute. The newer checksums, which not every store
# knows, are left out: all that is written goes with its MD5.
CLIENT: dict[str, Any] = {
    "retries": {"mode": "standard", "total_max_attempts": 6},
    "connect_timeout": 10,
    "read_timeout": 30,
    "max_pool_connections": 32,
    **dict.fromkeys(("request_checksum_calculation", "response_checksum_validation"), "when_required"),
}
NOT_THERE = {"404", "NoSuchKey", "NoSuchUpload", "NotFound"}
THERE = {"412", "PreconditionFailed"}
REFUSED = {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}


@dataclass(frozen=True)
class Bucket:
    client: Any
    name: str
    prefix: str

    def key(self, path: PurePosixPath) -> str:
        return "/".join(filter(None, (self.prefix, *path.parts)))


@cache
def _bucket_of(process: int) -> Bucket:
    """One client for all threads of a process; a forked one must not go on with its parent's connections."""
    chosen = settings.STORAGES["objects"]
    told = Config(s3={"addressing_style": chosen["OPTIONS"]["addressing_style"]}, signature_version="s3v4", **CLIENT)
    options = {**chosen["OPTIONS"], "client_config": told}
    backend: Any = storages.create_storage({"BACKEND": chosen["BACKEND"], "OPTIONS": options})
    return Bucket(backend.connection.meta.client, backend.bucket_name, backend.location.strip("/"))


def bucket() -> Bucket:
    return _bucket_of(os.getpid())


def forget() -> None:
    """Ask the settings anew."""
    _bucket_of.cache_clear()


class ObjectPath(PosixPath):
    """One object, or all those below a name. Raises StoreError besides what a Path raises.

    It has no name on this machine, so whatever of a Path is not answered here fails at once.
    """

    _known: os.stat_result | None = None
    _tag = ""

    def __fspath__(self) -> str:
        raise TypeError(f"{self} lies in the object store, not on this machine")

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """As it was when the store was asked first."""
        return self._known or self._learn(_ask("head_object", self))

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
        return next(_listed(f"{bucket().key(self)}/", MaxKeys=1), None) is not None

    def exists(self) -> bool:
        return self.is_file() or self.is_dir()

    def open(self, mode: str = "rb") -> io.BufferedReader:  # type: ignore[override]
        if mode != "rb":
            raise ValueError(f"{self} is written whole, by files.store")
        return io.BufferedReader(_Reader(self), BLOCK)

    def read_bytes(self) -> bytes:
        return _fetch(self)

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def iterdir(self) -> Generator[Self, None, None]:
        yield from self._entries()

    def _entries(self, beginning: str = "") -> Iterator[Self]:
        """What lies right below it, of names that begin so."""
        prefix = f"{bucket().key(self)}/"
        for told in _listed(prefix + beginning, Delimiter="/"):
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
        for told in _listed(prefix):
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
        _ask("delete_object", self)

    def touch(self, mode: int = 0o666, exist_ok: bool = True) -> None:
        """An empty object."""
        self._forget()
        _ask("put_object", self, Body=b"")

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
            self._block = _fetch(self._path, self._at, min(self._at + self._run, self._size))
        data = self._block[self._at - self._start :][: len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _ask(operation: str, path: ObjectPath, **more: Any) -> dict[str, Any]:
    """One call, which the client itself repeats some times, ever later, while the store is busy or away."""
    there = bucket()
    with _speaking(operation, path):
        answer: dict[str, Any] = getattr(there.client, operation)(Bucket=there.name, Key=there.key(path), **more)
        return answer


class _speaking:  # noqa: N801 - a context manager, without the cost of a generator's
    """Says what went wrong in the words of a file system, or in a sentence for the operator. No address, no key."""

    def __init__(self, operation: str, path: PurePosixPath) -> None:
        self.operation, self.path = operation, path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ClientError):
            raise self._refusal(error.response["Error"].get("Code", ""), error) from error
        if isinstance(error, BotoCoreError):
            raise self._failure(type(error).__name__) from error

    def _refusal(self, code: str, error: ClientError) -> OSError:
        if code in NOT_THERE:
            return FileNotFoundError(errno.ENOENT, "There is no such object in the store", str(self.path))
        if code in THERE and self.operation == "put_object":
            sent_again = error.response["ResponseMetadata"].get("RetryAttempts", 0)
            return FileExistsError(sent_again, "There is such an object in the store", str(self.path))
        if code in REFUSED:
            return StoreError(
                f"The object store refuses {self.operation} of {self.path} ({code}): see that its key is right and may "
                "list, read, write and delete in the bucket (docs/storage.md)."
            )
        return self._failure(code)

    def _failure(self, reason: str) -> StoreError:
        return StoreError(
            f"The object store did not do {self.operation} of {self.path}, however often it was asked ({reason}): see "
            "that it runs and can be reached. What failed is tried again."
        )


def _listed(prefix: str, **more: Any) -> Iterator[dict[str, Any]]:
    """What the store tells of the keys that begin so, and of their beginnings up to a delimiter."""
    there = bucket()
    pages = iter(there.client.get_paginator("list_objects_v2").paginate(Bucket=there.name, Prefix=prefix, **more))
    while True:
        with _speaking("list_objects_v2", PurePosixPath(prefix)):
            page = next(pages, None)
        if page is None:
            return
        yield from page.get("CommonPrefixes", ())
        yield from page.get("Contents", ())
        if "MaxKeys" in more:
            return


def _fetch(path: ObjectPath, start: int = 0, end: int | None = None) -> bytes:
    """Bytes of an object. What came of an answer before it was torn is not asked for again."""
    data, tag = bytearray(), dict[str, str]()
    for attempt in range(RESUMED):
        asked = {"Range": f"bytes={start + len(data)}-{'' if end is None else end - 1}"}
        answer = _ask("get_object", path, **tag, **(asked if data or start or end is not None else {}))
        tag = {"IfMatch": answer["ETag"]}
        try:
            for part in answer["Body"].iter_chunks(BLOCK):
                data += part
        except BotoCoreError as error:
            if attempt + 1 == RESUMED:
                with _speaking("get_object", path):
                    raise
            _pause(attempt, error)
        else:
            break
    return bytes(data)


def _pause(attempt: int, error: Exception) -> None:
    time.sleep(random.random() * min(2**attempt, LONGEST_PAUSE))  # noqa: S311 - so that not all come again at once


def _fetch_first(path: ObjectPath) -> tuple[bytes, int]:
    """The first block of an object, and how many bytes it has."""
    size = path.stat().st_size
    return (_fetch(path, 0, min(size, BLOCK)) if size else b""), size


def _copy(source: ObjectPath, target: ObjectPath) -> None:
    there = bucket()
    origin = {"Bucket": there.name, "Key": there.key(source)}
    if source.stat().st_size < LARGEST_COPY:
        _ask("copy_object", target, CopySource=origin)
    else:
        with _speaking("copy", source):
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
        _ask("put_object", path, Body=data, ContentMD5=digest, **_headers(path), **condition)
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
            return _fetch(self._path, start, end)
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
        if not isinstance(error, LeaseLost | Enough | Stopping):
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
    upload = _begun(path) or _ask("create_multipart_upload", path, **_headers(path))["UploadId"]
    there = _parts(path, upload)

    def send(number: int) -> dict[str, Any]:
        with file.open("rb") as opened:
            opened.seek((number - 1) * length)
            data = opened.read(length)
        digest = hashlib.md5(data, usedforsecurity=False)
        tag = f'"{digest.hexdigest()}"'
        if there.get(number) != tag:
            md5 = b64encode(digest.digest()).decode()
            tag = _ask("upload_part", path, UploadId=upload, PartNumber=number, Body=data, ContentMD5=md5)["ETag"]
        return {"PartNumber": number, "ETag": tag}

    with ThreadPoolExecutor(UPLOADING) as pool:
        parts = _await([pool.submit(send, number) for number in number_of], tell)
    _ask("complete_multipart_upload", path, UploadId=upload, MultipartUpload={"Parts": parts})


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
    with _speaking("list_multipart_uploads", path):
        told = there.client.list_multipart_uploads(Bucket=there.name, Prefix=there.key(path))
    found = [each["UploadId"] for each in told.get("Uploads", ()) if each["Key"] == there.key(path)]
    return found[-1] if found else None


def _parts(path: ObjectPath, upload: str) -> dict[int, str]:
    there = bucket()
    asked = {"Bucket": there.name, "Key": there.key(path), "UploadId": upload}
    with _speaking("list_parts", path):
        pages = list(there.client.get_paginator("list_parts").paginate(**asked))
    return {part["PartNumber"]: part["ETag"] for page in pages for part in page.get("Parts", ())}


@files.address.register
def _(path: ObjectPath, method: str) -> str:
    if settings.MEDIA_BASE_URL:
        return f"{settings.MEDIA_BASE_URL}/{path}"
    there = bucket()
    operation = "head_object" if method == "HEAD" else "get_object"
    asked = {"Bucket": there.name, "Key": there.key(path)}
    address: str = there.client.generate_presigned_url(operation, Params=asked, ExpiresIn=SIGNED)
    return address
