"""Where an export is written: a folder of this machine, or an object store. Files that are unchanged stay."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from transcoding.engine.package import files
from videos.storage.bucket import CLIENT, NOT_FOUND
from vlog.environment import SettingError, parse_storage_url

BLOCK = 1 << 20  # bytes at a time
Open = Callable[[], BinaryIO]


class TargetError(Exception):
    """The export cannot be written there; the message says why."""


class Target(Protocol):
    """Names are paths with `/`. Each put returns whether something was written."""

    def put(self, name: str, data: bytes) -> bool: ...
    def put_file(self, name: str, size: int, digest: str, source: Open) -> bool: ...
    def has(self, name: str, size: int, digest: str) -> bool: ...
    def keep_only(self, folder: str, names: set[str]) -> None: ...
    def read(self, name: str) -> bytes | None: ...
    def exists(self, name: str) -> bool: ...
    def free(self) -> int | None: ...


class Folder:
    """A folder of this machine. `known` has the SHA-256 of large files, as the documents there say them."""

    def __init__(self, root: Path) -> None:
        self.root, self.known = root, dict[str, str]()
        with _told(root):
            root.mkdir(parents=True, exist_ok=True)

    def put(self, name: str, data: bytes) -> bool:
        path = self.root / name
        with _told(path):
            if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
                return False
            return files.store(path, data)

    def has(self, name: str, size: int, digest: str) -> bool:
        path = self.root / name
        with _told(path):
            return self.known.get(name) == digest and path.is_file() and path.stat().st_size == size

    def put_file(self, name: str, size: int, digest: str, source: Open) -> bool:
        if self.has(name, size, digest):
            return False
        path = self.root / name
        part = path.with_name(f".{path.name}{files.UNFINISHED}")
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with source() as original, part.open("wb") as copy:
                shutil.copyfileobj(original, copy, BLOCK)
                copy.flush()
                os.fsync(copy.fileno())
            part.replace(path)
        return True

    def keep_only(self, folder: str, names: set[str]) -> None:
        """Delete the files of a video's folder that an earlier export has written and this one has not."""
        with _told(self.root / folder):
            for path in (self.root / folder).iterdir():
                if path.name not in names and _is_ours(path.name) and path.is_file():
                    path.unlink()

    def read(self, name: str) -> bytes | None:
        path = self.root / name
        with _told(path):
            return path.read_bytes() if path.is_file() else None

    def exists(self, name: str) -> bool:
        return (self.root / name).is_file()

    def free(self) -> int | None:
        return shutil.disk_usage(self.root).free


class Bucket:
    """An object store. Each object carries the SHA-256 of its content."""

    def __init__(self, url: str) -> None:
        options = options_of(url)
        self.name, self.prefix = options["bucket_name"], options["location"]
        self.client = client_of(options)

    def put(self, name: str, data: bytes) -> bool:
        digest = sha256(data).hexdigest()
        if self.has(name, len(data), digest):
            return False
        self._ask("put_object", Key=self._key(name), Body=data, Metadata={"sha256": digest})
        return True

    def has(self, name: str, size: int, digest: str) -> bool:
        head = self._find("head_object", name)
        return bool(head and head["ContentLength"] == size and head["Metadata"].get("sha256") == digest)

    def put_file(self, name: str, size: int, digest: str, source: Open) -> bool:
        if self.has(name, size, digest):
            return False
        with source() as original:
            more = {"Metadata": {"sha256": digest}}
            self._ask("upload_fileobj", Fileobj=original, Key=self._key(name), ExtraArgs=more)
        return True

    def keep_only(self, folder: str, names: set[str]) -> None:
        prefix = self._key(folder) + "/"
        for entry in self._ask("list_objects_v2", Prefix=prefix).get("Contents", []):
            name = entry["Key"].removeprefix(prefix)
            if name not in names and _is_ours(name):
                self._ask("delete_object", Key=entry["Key"])

    def read(self, name: str) -> bytes | None:
        found = self._find("get_object", name)
        return found["Body"].read() if found else None

    def exists(self, name: str) -> bool:
        return self._find("head_object", name) is not None

    def free(self) -> int | None:
        return None

    def _find(self, operation: str, name: str) -> Any:
        """Ask about an object; None where there is none."""
        try:
            return getattr(self.client, operation)(Bucket=self.name, Key=self._key(name))
        except ClientError as error:
            if error.response["Error"].get("Code", "") in NOT_FOUND:
                return None
            raise TargetError(_refusal(error)) from error
        except BotoCoreError as error:
            raise TargetError(_refusal(error)) from error

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def _ask(self, operation: str, **arguments: Any) -> Any:
        try:
            return getattr(self.client, operation)(Bucket=self.name, **arguments)
        except (ClientError, BotoCoreError, boto3.exceptions.Boto3Error) as error:
            raise TargetError(_refusal(error)) from error


def options_of(url: str) -> dict[str, Any]:
    """Return the options of an address that a command got, with the access key of the site. Raises TargetError."""
    try:
        return parse_storage_url(url, settings.STORAGE_KEY, settings.STORAGE_SECRET)
    except SettingError as error:
        raise TargetError(str(error).replace("VLOG_STORAGE_URL", "The address")) from error


def client_of(options: dict[str, Any]) -> Any:
    """Return a client of the store that the options of `parse_storage_url` name."""
    addressing = {"addressing_style": options["addressing_style"]}
    session = boto3.session.Session(
        aws_access_key_id=options.get("access_key"), aws_secret_access_key=options.get("secret_key")
    )
    return session.client(
        "s3",
        endpoint_url=options["endpoint_url"],
        region_name=options["region_name"],
        config=Config(**CLIENT, s3=addressing, signature_version="s3v4"),
    )


def _refusal(error: Exception) -> str:
    code = error.response["Error"].get("Code", "") if isinstance(error, ClientError) else type(error).__name__
    return f"The object store did not take it ({code}). Check the address, the bucket and VLOG_STORAGE_KEY."


def _is_ours(name: str) -> bool:
    """Return whether a file of a video's folder is one that exports write: others are not deleted."""
    return name.startswith(("captions-", "original")) or name == "poster.jpg"


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TargetError(f"{path} cannot be written: {error.strerror or error}.") from error
