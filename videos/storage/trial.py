"""A trial of the object store: what VLog needs of it, each condition by itself, with files that are deleted again."""

import secrets
from collections.abc import Callable, Iterator

from transcoding.engine.package import files
from transcoding.engine.package.files import StoreError
from videos.storage import multipart
from videos.storage.bucket import fetch
from videos.storage.objects import ObjectPath

DATA = b"0123456789"
Condition = Callable[[ObjectPath], object]  # a true value: the folder's store meets it


def failures() -> Iterator[tuple[str, str]]:
    """Yield each condition that the store fails, the end of "the object store does not …", and the reason.

    Where it stores nothing, that is the only one.
    """
    trial = ObjectPath(f"trial-{secrets.token_hex(8)}")
    if reason := _why_not(_stores, trial):
        yield "store files", reason
        return
    for condition, holds in CONDITIONS.items():
        if reason := _why_not(holds, trial):
            yield condition, reason


def _why_not(holds: Condition, trial: ObjectPath) -> str:
    try:
        return "" if holds(trial) else "it reports success, and does not do it"
    except OSError as error:
        return str(error) if isinstance(error, StoreError) else f"it says: {error.strerror}"


def _stores(trial: ObjectPath) -> bool:
    return files.store(trial / "file", DATA)


def _keeps(trial: ObjectPath) -> bool:
    return not files.store(trial / "file", b"another", replace=False) and (trial / "file").read_bytes() == DATA


def _returns(trial: ObjectPath) -> bool:
    return (trial / "file").stat().st_size == len(DATA) and (trial / "file").read_bytes() == DATA


def _returns_parts(trial: ObjectPath) -> bool:
    return fetch(trial / "file", 3, 6) == DATA[3:6]


def _lists(trial: ObjectPath) -> bool:
    return files.names(trial) == ["file"]


def _copies(trial: ObjectPath) -> bool:
    files.store(trial / "old" / "file", DATA)
    files.move(trial / "old", trial / "new")
    return (trial / "new" / "file").read_bytes() == DATA and not (trial / "old").exists()


def _lists_uploads(trial: ObjectPath) -> bool:
    return multipart.unfinished(trial / "file") is None


def _deletes(trial: ObjectPath) -> bool:
    files.remove(trial)
    return not trial.exists()


CONDITIONS: dict[str, Condition] = {
    "return what was stored": _returns,
    "return parts of a file (Range)": _returns_parts,
    "list new files at once": _lists,
    "copy and delete files": _copies,
    "list unfinished uploads (ListBucketMultipartUploads)": _lists_uploads,
    "keep an existing file where a condition says so (If-None-Match: *)": _keeps,
    "delete files": _deletes,
}
