"""Resumable uploads: a large file goes to the object store in parts, by the multipart upload of S3."""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from videos.storage.bucket import ask, bucket, translate_errors

PART_SIZE = 16 << 20  # bytes, at least
MAX_PARTS = 9000  # of one upload; S3 accepts 10 000
PARALLEL_PARTS = 4
REPORT_INTERVAL = 1  # seconds between two calls of on_progress, at most


@dataclass(frozen=True)
class _Upload:
    """A multipart upload, and the entity tags of the parts that the store has already."""

    path: PurePosixPath
    file: Path
    part_size: int
    upload_id: str
    stored: Mapping[int, str]

    def send(self, number: int) -> dict[str, Any]:
        """Send one part, unless the store has the same bytes already; return its entry for the completion."""
        with self.file.open("rb") as opened:
            opened.seek((number - 1) * self.part_size)
            data = opened.read(self.part_size)
        digest = hashlib.md5(data, usedforsecurity=False)
        tag = f'"{digest.hexdigest()}"'
        if self.stored.get(number) != tag:
            part = {"UploadId": self.upload_id, "PartNumber": number, "Body": data}
            tag = ask("upload_part", self.path, **part, ContentMD5=b64encode(digest.digest()).decode())["ETag"]
        return {"PartNumber": number, "ETag": tag}


def upload(
    path: PurePosixPath, file: Path, size: int, headers: Mapping[str, str], on_progress: Callable[[int], None]
) -> None:
    """Upload a file of `size` bytes; an upload that was interrupted continues with the missing parts.

    on_progress: called every few seconds and at the end, with the percentage of the parts that are sent.
    """
    part_size = max(PART_SIZE, -(-size // MAX_PARTS))
    upload_id = unfinished(path) or ask("create_multipart_upload", path, **headers)["UploadId"]
    upload = _Upload(path, file, part_size, upload_id, _stored_parts(path, upload_id))
    with ThreadPoolExecutor(PARALLEL_PARTS) as pool:
        futures = [pool.submit(upload.send, number) for number in range(1, -(-size // part_size) + 1)]
        parts = _results(futures, on_progress)
    ask("complete_multipart_upload", path, UploadId=upload_id, MultipartUpload={"Parts": parts})


def _results(futures: list[Future[dict[str, Any]]], on_progress: Callable[[int], None]) -> list[dict[str, Any]]:
    """Return the results in order; the first failure cancels the parts that are not being sent yet."""
    remaining: set[Future[dict[str, Any]]] = set(futures)
    try:
        while remaining:
            done, remaining = wait(remaining, REPORT_INTERVAL)
            for future in done:
                future.result()
            on_progress(100 - 100 * len(remaining) // len(futures))
    finally:
        for future in remaining:
            future.cancel()
    return [future.result() for future in futures]


def unfinished(path: PurePosixPath) -> str | None:
    """Return the id of the last upload of this object that was begun and not completed."""
    target = bucket()
    with translate_errors("list_multipart_uploads", path):
        response = target.client.list_multipart_uploads(Bucket=target.name, Prefix=target.key(path))
    found = [each["UploadId"] for each in response.get("Uploads", ()) if each["Key"] == target.key(path)]
    return found[-1] if found else None


def _stored_parts(path: PurePosixPath, upload_id: str) -> dict[int, str]:
    """Return the entity tags of the parts that the store has, by their number."""
    target = bucket()
    query = {"Bucket": target.name, "Key": target.key(path), "UploadId": upload_id}
    with translate_errors("list_parts", path):
        pages = list(target.client.get_paginator("list_parts").paginate(**query))
    return {part["PartNumber"]: part["ETag"] for page in pages for part in page.get("Parts", ())}
