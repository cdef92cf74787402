"""Requests to the object store: retries while it is busy, and errors translated for operators.

An object is named by its path below the prefix of VLOG_STORAGE_URL.
"""

import errno
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.files.storage import storages

from transcoding.engine.package.files import StoreError

READ_SIZE = 64 << 10  # bytes read from a response at a time
RESUMED, LONGEST_PAUSE = 6, 8  # attempts to read one object after interruptions; longest pause between them, in seconds
# A busy or unreachable store is tried six times, within about half a minute. The newer checksums are left out because
# not every store supports them: every upload carries its MD5.
CLIENT: dict[str, Any] = {
    "retries": {"mode": "standard", "total_max_attempts": 6},
    "connect_timeout": 10,
    "read_timeout": 30,
    "max_pool_connections": 32,
    **dict.fromkeys(("request_checksum_calculation", "response_checksum_validation"), "when_required"),
}
FAIL_FAST = {"retries": {"mode": "standard", "total_max_attempts": 2}, "connect_timeout": 2, "read_timeout": 4}
NOT_FOUND = {"404", "NoSuchKey", "NoSuchUpload", "NotFound"}
EXISTS = {"412", "PreconditionFailed"}
REFUSED = {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"}


@dataclass(frozen=True)
class Bucket:
    """A bucket of the store, and the prefix below which all objects of this site lie."""

    client: Any
    name: str
    prefix: str

    def key(self, path: PurePosixPath) -> str:
        return "/".join(filter(None, (self.prefix, *path.parts)))


@cache
def _bucket_of(process: int, fail_fast: bool) -> Bucket:
    """One client for all threads of a process; a forked process must not reuse its parent's connections."""
    storage = settings.STORAGES["objects"]
    config = Config(
        **CLIENT | (FAIL_FAST if fail_fast else {}),
        s3={"addressing_style": storage["OPTIONS"]["addressing_style"]},
        signature_version="s3v4",
    )
    options = {**storage["OPTIONS"], "client_config": config}
    backend: Any = storages.create_storage({"BACKEND": storage["BACKEND"], "OPTIONS": options})
    return Bucket(backend.connection.meta.client, backend.bucket_name, backend.location.strip("/"))


def bucket(*, fail_fast: bool = False) -> Bucket:
    """Return the bucket of VLOG_STORAGE_URL, with this process's client."""
    return _bucket_of(os.getpid(), fail_fast)


def forget() -> None:
    """Drop the clients, so that the next request reads the settings again."""
    _bucket_of.cache_clear()


def ask(operation: str, path: PurePosixPath, **more: Any) -> dict[str, Any]:
    """Send one request about an object; the client retries it with growing pauses while the store is busy."""
    target = bucket(fail_fast=getattr(path, "fail_fast", False))
    with translate_errors(operation, path):
        response: dict[str, Any] = getattr(target.client, operation)(Bucket=target.name, Key=target.key(path), **more)
        return response


class translate_errors:  # noqa: N801 - a context manager, without the cost of a generator's
    """Raise the client's errors as those of a file system or as StoreError; messages contain no address and no key."""

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
        if code in NOT_FOUND:
            return FileNotFoundError(errno.ENOENT, "No such object in the store", str(self.path))
        if code in EXISTS and self.operation == "put_object":
            retries = error.response["ResponseMetadata"].get("RetryAttempts", 0)
            return FileExistsError(retries, "The object already exists in the store", str(self.path))
        if code in REFUSED:
            return StoreError(
                f"The object store refused {self.operation} of {self.path} ({code}). Check that its key is correct and "
                "has permission to list, read, write and delete in the bucket (docs/storage.md)."
            )
        return self._failure(code)

    def _failure(self, reason: str) -> StoreError:
        return StoreError(
            f"The object store did not complete {self.operation} of {self.path} after several attempts ({reason}). "
            "Check that it is running and reachable."
        )


def listed(prefix: str, **more: Any) -> Iterator[dict[str, Any]]:
    """Yield the store's entries for the files with this prefix, and the common prefixes up to a delimiter.

    Keys that end in a slash are not among them: consoles and some stores write such objects in the place of folders.
    """
    return (entry for entry in listed_keys(prefix, **more) if not entry.get("Key", "").endswith("/"))


def listed_keys(prefix: str, **more: Any) -> Iterator[dict[str, Any]]:
    """Yield the store's entries as `listed` does, with the keys that stand for folders."""
    target = bucket()
    pages = iter(target.client.get_paginator("list_objects_v2").paginate(Bucket=target.name, Prefix=prefix, **more))
    while True:
        with translate_errors("list_objects_v2", PurePosixPath(prefix)):
            page = next(pages, None)
        if page is None:
            return
        yield from page.get("CommonPrefixes", ())
        yield from page.get("Contents", ())


def fetch(path: PurePosixPath, start: int = 0, end: int | None = None) -> bytes:
    """Return bytes of an object; an interrupted response is resumed where it broke off."""
    data, tag = bytearray(), dict[str, str]()
    for attempt in range(RESUMED):
        wanted = {"Range": f"bytes={start + len(data)}-{'' if end is None else end - 1}"}
        response = ask("get_object", path, **tag, **(wanted if data or start or end is not None else {}))
        tag = {"IfMatch": response["ETag"]}
        try:
            for block in response["Body"].iter_chunks(READ_SIZE):
                data += block
        except BotoCoreError:
            if attempt + 1 == RESUMED:
                with translate_errors("get_object", path):
                    raise
            _pause(attempt)
        else:
            break
    return bytes(data)


def _pause(attempt: int) -> None:
    time.sleep(random.random() * min(2**attempt, LONGEST_PAUSE))  # noqa: S311 - so that not all retry at the same moment
