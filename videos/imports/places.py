"""Where an export is read from: a folder of this machine, or an object store."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from django.conf import settings

from transcoding.queue import disk_quota
from videos.exports.targets import client_of, options_of
from videos.imports import originals
from videos.imports.folder import Entry, Refused, opened
from videos.imports.originals import BLOCK, Original
from videos.imports.taking import path_text
from videos.storage.bucket import NOT_FOUND

TRIES = 5  # to continue one file after interruptions, without a new byte
BUSY = "Another process fetches this file now."
SILENT = "The object store does not answer ({}). Run the command again to continue."
ABSENT = "It is not there."


class Place(Protocol):
    """Names are paths with `/`. Whatever cannot be read raises Refused."""

    def is_file(self, name: str) -> bool: ...
    def folders(self, name: str) -> list[str]: ...
    def read(self, name: str, most: int) -> bytes: ...
    def bring(self, name: str, size: int, digest: str, *, link: bool) -> Original: ...
    def address(self, name: str) -> str: ...
    def links(self) -> bool: ...


class Folder:
    """A folder of this machine. Links that lead out of it are refused."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        return str(self.root)

    def is_file(self, name: str) -> bool:
        return (self.root / name).is_file()

    def folders(self, name: str) -> list[str]:
        try:
            return sorted(path.name for path in (self.root / name).iterdir() if not path.is_symlink())
        except OSError as error:
            raise Refused(f"{self.root / name} cannot be read: {error.strerror}.") from error

    def read(self, name: str, most: int) -> bytes:
        with self._opened(name) as file:
            try:
                return file.read(most)
            except OSError as error:
                raise Refused(f"It cannot be read: {error.strerror}.") from error

    def bring(self, name: str, size: int, digest: str, *, link: bool) -> Original:
        with self._opened(name) as file:
            return originals.bring(file, link=link)

    def address(self, name: str) -> str:
        return path_text(self.root / name)

    def links(self) -> bool:
        return originals.is_same_disk(self.root)

    @contextmanager
    def _opened(self, name: str) -> Iterator[BinaryIO]:
        with opened(Entry(self.root / name, self.root, name)) as file:
            yield file


class Bucket:
    """An object store, with the access key of this site. Raises TargetError for a wrong address."""

    def __init__(self, url: str) -> None:
        options = options_of(url)
        self.name, self.prefix = options["bucket_name"], options["location"]
        self.client = client_of(options)

    def __str__(self) -> str:
        return "/".join(filter(None, (f"s3://{self.name}", self.prefix)))

    def is_file(self, name: str) -> bool:
        with suppress(_Absent), _told():
            self.client.head_object(Bucket=self.name, Key=self._key(name))
            return True
        return False

    def folders(self, name: str) -> list[str]:
        prefix = f"{self._key(name)}/"
        with _told():
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=prefix, Delimiter="/"
            )
            found = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", ())]
        return sorted(each.removeprefix(prefix).rstrip("/") for each in found)

    def read(self, name: str, most: int) -> bytes:
        with _told():
            body = self.client.get_object(Bucket=self.name, Key=self._key(name))["Body"]
            return bytes(body.read(most))

    def bring(self, name: str, size: int, digest: str, *, link: bool) -> Original:
        """Fetch a file. What has arrived stays on the disk for a day after an interruption, and is not fetched again.

        Raises InsufficientSpace, too.
        """
        settings.UPLOADS_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = settings.UPLOADS_DIR / f"import-{digest}"
        with path.open("a+b") as file:
            _lock(file)
            if file.tell() > size:
                file.truncate(0)
            held, hashing = 0, sha256()
            file.seek(0)
            while block := file.read(BLOCK):
                held += len(block)
                hashing.update(block)
            disk_quota.check(size - held)
            for block in self._rest(name, held, size):
                file.write(block)
                hashing.update(block)
            held = file.tell()
        return Original(path, held, hashing.hexdigest())

    def address(self, name: str) -> str:
        return path_text(Path(f"{self.name}/{self._key(name)}"))

    def links(self) -> bool:
        return False

    def _rest(self, name: str, start: int, size: int) -> Iterator[bytes]:
        """Yield the bytes of a file from a place on; a connection that breaks is made again."""
        tries = 0
        while start < size:
            try:
                with _told():
                    wanted = {"Range": f"bytes={start}-"} if start else {}
                    body = self.client.get_object(Bucket=self.name, Key=self._key(name), **wanted)["Body"]
                    while block := body.read(BLOCK):
                        yield bytes(block)
                        start, tries = start + len(block), 0
                    return
            except _Broken:
                tries += 1
                if tries == TRIES:
                    raise

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name


class _Absent(Refused):
    """There is no such object."""


class _Broken(Refused):
    """The connection broke."""


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = str(error.response["Error"].get("Code", ""))
        if code in NOT_FOUND:
            raise _Absent(ABSENT) from error
        raise Refused(f"The object store refused it ({code}). Check the address and VLOG_STORAGE_KEY.") from error
    except NoCredentialsError as error:
        raise Refused("The object store needs a key: set VLOG_STORAGE_KEY and VLOG_STORAGE_SECRET.") from error
    except (BotoCoreError, ConnectionError, TimeoutError) as error:
        raise _Broken(SILENT.format(type(error).__name__)) from error


def _lock(file: Any) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Refused(BUSY) from error


def place_of(text: str) -> Place:
    """Return the place that an argument names. Raises TargetError."""
    return Bucket(text) if text.startswith("s3://") else Folder(Path(text))
