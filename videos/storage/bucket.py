"""The requests that are made to an object store: repeated while it is busy, and what went wrong in words.

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

PIECE = 64 << 10  # bytes of an answer that are taken at a time
RESUMED, LONGEST_PAUSE = 6, 8  # times that a torn answer is asked for again, and seconds before that at most
# A busy or absent store is asked six times, within about half a minute. The newer checksums, which not every store
# knows, are left out: all that is written goes with its MD5.
CLIENT: dict[str, Any] = {
    "retries": {"mode": "standard", "total_max_attempts": 6},
    "connect_timeout": 10,
    "read_timeout": 30,
    "max_pool_connections": 32,
    **dict.fromkeys(("request_checksum_calculation", "response_checksum_validation"), "when_required"),
}
FAIL_FAST = {"retries": {"mode": "standard", "total_max_attempts": 2}, "connect_timeout": 2, "read_timeout": 4}
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
def _bucket_of(process: int, fail_fast: bool) -> Bucket:
    """One client for all threads of a process; a forked one must not go on with its parent's connections."""
    chosen = settings.STORAGES["objects"]
    told = Config(
        **CLIENT | (FAIL_FAST if fail_fast else {}),
        s3={"addressing_style": chosen["OPTIONS"]["addressing_style"]},
        signature_version="s3v4",
    )
    options = {**chosen["OPTIONS"], "client_config": told}
    backend: Any = storages.create_storage({"BACKEND": chosen["BACKEND"], "OPTIONS": options})
    return Bucket(backend.connection.meta.client, backend.bucket_name, backend.location.strip("/"))


def bucket(*, fail_fast: bool = False) -> Bucket:
    return _bucket_of(os.getpid(), fail_fast)


def forget() -> None:
    """Ask the settings anew."""
    _bucket_of.cache_clear()


def ask(operation: str, path: PurePosixPath, **more: Any) -> dict[str, Any]:
    """One call, which the client itself repeats some times, ever later, while the store is busy or away."""
    there = bucket(fail_fast=getattr(path, "fail_fast", False))
    with translate_errors(operation, path):
        answer: dict[str, Any] = getattr(there.client, operation)(Bucket=there.name, Key=there.key(path), **more)
        return answer


class translate_errors:  # noqa: N801 - a context manager, without the cost of a generator's
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


def listed(prefix: str, **more: Any) -> Iterator[dict[str, Any]]:
    """What the store tells of the keys that begin so, and of their beginnings up to a delimiter."""
    there = bucket()
    pages = iter(there.client.get_paginator("list_objects_v2").paginate(Bucket=there.name, Prefix=prefix, **more))
    while True:
        with translate_errors("list_objects_v2", PurePosixPath(prefix)):
            page = next(pages, None)
        if page is None:
            return
        yield from page.get("CommonPrefixes", ())
        yield from page.get("Contents", ())
        if "MaxKeys" in more:
            return


def fetch(path: PurePosixPath, start: int = 0, end: int | None = None) -> bytes:
    """Bytes of an object. What came of an answer before it was torn is not asked for again."""
    data, tag = bytearray(), dict[str, str]()
    for attempt in range(RESUMED):
        asked = {"Range": f"bytes={start + len(data)}-{'' if end is None else end - 1}"}
        answer = ask("get_object", path, **tag, **(asked if data or start or end is not None else {}))
        tag = {"IfMatch": answer["ETag"]}
        try:
            for part in answer["Body"].iter_chunks(PIECE):
                data += part
        except BotoCoreError:
            if attempt + 1 == RESUMED:
                with translate_errors("get_object", path):
                    raise
            _pause(attempt)
        else:
            break
    return bytes(data)


def _pause(attempt: int) -> None:
    time.sleep(random.random() * min(2**attempt, LONGEST_PAUSE))  # noqa: S311 - so that not all come again at once
