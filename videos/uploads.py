"""Uploads: complete files become videos, interrupted ones are removed."""

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

# The last range: surrogates, by which Python represents invalid UTF-8 in file names; the database refuses them.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
TITLE_LENGTH = 255
TAG_LENGTH = 50
LEFTOVER_SECONDS = 24 * 3600  # a running upload writes more often


class UploadError(Exception):
    """The file is not accepted; the message tells the editor why."""


def accept(  # noqa: PLR0913 - the fields that an editor may set
    path: Path,
    *,
    name: str,
    title: str = "",
    description: str = "",
    category: Category | None = None,
    tags: Iterable[str] = (),
    publish_early: bool = False,
) -> Video:
    """Create a pending video and its job from a file in the uploads folder, which is renamed to the video's source.

    `name` is the editor's name of the file. Raises UploadError for an empty file. After any error the file is still
    in its place.
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
        with suppress(StoreError):  # an upload is accepted even while the object store is unreachable
            ledger.note(video)
        transaction.on_commit(lambda: tasks.start(job))
    return video


def clean(text: str) -> str:
    """Return the text as one line that fits a title, without control characters and surrounding space."""
    return " ".join(CONTROL.sub(" ", text).split())[:TITLE_LENGTH].strip()


def title_of(name: str) -> str:
    """Return a title made from a file name: its last part without the suffix, underscores as spaces."""
    stem = Path(name.replace("\\", "/")).stem.replace("_", " ")
    return clean(stem) or "Untitled"


def tags_named(names: Iterable[str]) -> list[Tag]:
    """Return the tags of these names, ignoring case; unknown ones are created."""
    cleaned = {clean(name)[:TAG_LENGTH].strip().casefold(): clean(name)[:TAG_LENGTH].strip() for name in names}
    # Always in the same order: two transactions that create the same tags would otherwise deadlock.
    return [Tag.objects.named(name) for _, name in sorted(cleaned.items()) if name]


def sweep_leftovers() -> int:
    """Remove the leftovers of killed processes; return how many there were."""
    found = leftovers()
    for path in found:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(found)


def leftovers() -> list[Path]:
    """Return the old entries of the uploads folder that no process has open."""
    limit = time.time() - LEFTOVER_SECONDS
    old = [path for path in settings.UPLOADS_DIR.iterdir() if _last_written(path) < limit]
    opened = _open_files() if old else set()
    return [path for path in old if not any(Path(name).is_relative_to(path) for name in opened)]


def _last_written(path: Path) -> float:
    """Return when a file, or any entry of a folder, was last written, as a time stamp; now if it was deleted."""
    try:
        return max(one.stat().st_mtime for one in (path, *path.rglob("*")))
    except FileNotFoundError:
        return time.time()


def _open_files() -> set[str]:
    """Return the files that processes of this machine have open, as far as this user may see them."""
    names = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # it was closed meanwhile, or belongs to another user
            names.add(os.readlink(link))  # noqa: PTH115 - the link may name something other than a path
    return names


def _move(path: Path, target: Path) -> None:
    """Rename a file durably, so that it survives a power failure."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.rename(target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
