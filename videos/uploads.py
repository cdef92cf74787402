"""Files that arrived whole become videos."""

import os
import re
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from django.conf import settings
from django.db import transaction

from transcoding import tasks
from transcoding.engine.package.files import StoreError
from transcoding.models import TranscodingJob
from videos.models import Category, Tag, Video
from videos.storage import ledger
from videos.storage.paths import arrival_path

# The last range: what Python makes of the bytes of a file's name that are no UTF-8; no database takes it.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
TITLE_LENGTH = 255
TAG_LENGTH = 50
LEFTOVER_SECONDS = 24 * 3600  # whoever writes to a file does so more often


class UploadError(Exception):
    """The file is not taken; the message tells the person who sent it why."""


def accept(  # noqa: PLR0913 - what an editor may say of a file
    path: Path,
    *,
    name: str,
    title: str = "",
    description: str = "",
    category: Category | None = None,
    tags: Iterable[str] = (),
    publish_early: bool = False,
) -> Video:
    """Take over a file in the uploads folder: a pending video, its job, and the file renamed to its source.

    name is what its owner calls the file. Raises UploadError where there is nothing to take; the file is still in
    its place then, as after any other failure.
    """
    if path.stat().st_size == 0:
        raise UploadError("The file is empty (0 bytes). Check that it plays on your computer, then send it again.")
    with transaction.atomic():
        video = Video.objects.create_with_slug(
            title=clean(title) or title_of(name),
            description=description,
            source_name=clean(name),
            category=category,
            publish_early=publish_early,
        )
        video.tags.set(tags_named(tags))
        job = TranscodingJob.objects.create(video=video)
        _move(path, arrival_path(video))
        with suppress(StoreError):  # a file is taken also while an object store is away
            ledger.note(video)
        transaction.on_commit(lambda: tasks.start(job))
    return video


def clean(text: str) -> str:
    """One line that fits a title: no control characters, no surrounding space."""
    return " ".join(CONTROL.sub(" ", text).split())[:TITLE_LENGTH].strip()


def title_of(name: str) -> str:
    """A title made of a file's name: its last part, without the suffix, underscores as spaces."""
    stem = Path(name.replace("\\", "/")).stem.replace("_", " ")
    return clean(stem) or "Untitled"


def tags_named(names: Iterable[str]) -> list[Tag]:
    """Tags by their names, whatever the case; unknown ones are made."""
    cleaned = {clean(name)[:TAG_LENGTH].strip().casefold(): clean(name)[:TAG_LENGTH].strip() for name in names}
    # In one order for everybody: each waits for the other's new tags, and two must not wait for one another.
    return [Tag.objects.named(name) for _, name in sorted(cleaned.items()) if name]


def sweep_leftovers() -> int:
    """Remove what killed processes left. Returns how many."""
    left = leftovers()
    for path in left:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(left)


def leftovers() -> list[Path]:
    """Old files of the uploads folder that nobody holds open."""
    limit = time.time() - LEFTOVER_SECONDS
    old = [path for path in settings.UPLOADS_DIR.iterdir() if _last_touched(path) < limit]
    held = _held_open() if old else set()
    return [path for path in old if not any(Path(name).is_relative_to(path) for name in held)]


def _last_touched(path: Path) -> float:
    """When a file, or anything in a folder, was last written, as a time stamp; of what is gone: now."""
    try:
        return max(one.stat().st_mtime for one in (path, *path.rglob("*")))
    except FileNotFoundError:
        return time.time()


def _held_open() -> set[str]:
    """The files that processes of this machine have open, as far as we may know."""
    names = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # it was closed, or is another user's
            names.add(os.readlink(link))  # noqa: PTH115 - what it names may be no path
    return names


def _move(path: Path, target: Path) -> None:
    """Rename a file so that it is still there after a power failure."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.rename(target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
