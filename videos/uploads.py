"""Files that arrived whole become videos."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from django.db import transaction

from transcoding import tasks
from transcoding.models import TranscodingJob
from videos.models import Category, Tag, Video
from videos.storage import source_path

# The last range: what Python makes of the bytes of a file's name that are no UTF-8; no database takes it.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
TITLE_LENGTH = 255
TAG_LENGTH = 50


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
        _move(path, source_path(video))
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
