"""Complete files become videos."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict, Unpack

from django.db import transaction

from transcoding import tasks
from transcoding.models import PipelineStep, TranscodingJob
from transcoding.steps import chapters, file_versions
from videos import arrivals, sidecars
from videos.models import Category, Tag, Upload, Video, default_visibility
from videos.sidecars import Sidecar
from videos.storage import ledger
from videos.storage.paths import arrival_path, is_elsewhere
from videos.uploads import sidecars as uploaded_sidecars
from videos.uploads import transfer
from vlog import audit

# The last range: surrogates, by which Python represents invalid UTF-8 in file names; the database refuses them.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
EMPTY = "The file is empty (0 bytes). Check that it plays on your computer, then send it again."
TITLE_LENGTH = 255
TAG_LENGTH = 50


class UploadError(Exception):
    """The file is not accepted; the message tells the editor why."""


class Columns(TypedDict, total=False):
    """The columns of a new video that are taken as they are."""

    description: str
    category: Category | None
    publish_early: bool
    downloads: bool
    slug: str
    password: str
    created_at: datetime
    published_at: datetime | None


def accept(  # noqa: PLR0913 - what an upload may say about its video
    path: Path,
    *,
    name: str,
    title: str = "",
    tags: Iterable[str] = (),
    visibility: str = "",
    beside: Sequence[Sidecar] = (),
    tell: Callable[[str], None] = lambda sentence: None,
    within: Callable[[Video], None] = lambda video: None,
    video_id: int | None = None,
    **columns: Unpack[Columns],
) -> Video:
    """Create a pending video and its job from a file in the uploads folder, which is renamed to the video's source.

    beside: captions and a poster; tell: called with each sentence about what of them was left out; video_id: chosen
    before, so the file may have its new name; within: called in the transaction, before the file is renamed. Raises
    UploadError. After any error the file is still in its place.
    """
    _size_of(path)
    found = sidecars.read(beside, name)
    with transaction.atomic():
        video = Video.objects.create_with_slug(
            pk=video_id,
            title=clean(title) or title_of(name),
            source_name=clean(name),
            visibility=visibility or default_visibility(),
            **columns,
        )
        video.tags.set(tags_named(tags))
        sidecars.attach(video, found)
        chapters.take_from_description(video)
        within(video)
        _begin(video, path)
        audit.record("uploaded", subject=video, after={"file": video.source_name})
    sidecars.use_poster(video, found)
    for sentence in (*found.notes, *filter(None, [chapters.why_none(video.description)])):
        tell(sentence)
    return video


def _size_of(path: Path) -> int:
    """Return the bytes of a file. Raises UploadError where it has none."""
    size = path.stat().st_size
    if size == 0:
        raise UploadError(EMPTY)
    return size


def _begin(video: Video, path: Path, replaced: Video | None = None) -> None:
    """Create the job of a new video or version, and make the file its original.

    replaced: the video that the version takes over at once, because it is not ready.
    """
    job = TranscodingJob.objects.create(video=video, current_step=PipelineStep.ARRIVAL if is_elsewhere() else None)
    _move(path, arrival_path(video))
    if is_elsewhere():  # an upload is accepted even while the object store is unreachable
        transaction.on_commit(arrivals.announce)
    else:
        ledger.note(video)
        transaction.on_commit(lambda: tasks.start(job))
    if replaced is not None:
        file_versions.take_over(Video.objects.get(pk=replaced.pk), video)


def replace(video_id: int, path: Path, *, name: str, number: int | None = None) -> Video:
    """Have a video made of another file, which is in the uploads folder and is renamed; return the video.

    A video that viewers can watch stays as it is until the new version is ready. One that was never ready gets the file
    at once; what was being made of the other one is cancelled. number: the id of the version's holder, chosen before,
    so the file may have its new name. Raises UploadError and VersionError; after any error the file is in its place.
    """
    size = _size_of(path)
    with transaction.atomic():
        video = file_versions.locked(video_id)
        holder = file_versions.begin(video, source_name=clean(name), size=size, number=number)
        if video.status == Video.Status.READY:
            _begin(holder, path)
        else:
            TranscodingJob.objects.get(video=video).cancel(audit.actor())
            _begin(holder, path, video)
    return video


def complete(upload: Upload) -> None:
    """Make the video of an upload whose bytes are all here, replace the file of another, or keep a sidecar.

    Call it with the file locked. A process that is killed in between has changed nothing, or only the name of the file,
    where `transfer` finds it again.
    """
    is_sidecar = uploaded_sidecars.is_one(upload)
    if upload.video_id is None and not is_sidecar:
        upload.choose_video_id()
    with transaction.atomic():
        # Details no longer change, and a video and its sidecar that finish at once see each other.
        batch = list(Upload.objects.beside(upload).select_for_update(no_key=True).order_by("key"))
        upload.refresh_from_db()
        if is_sidecar:
            uploaded_sidecars.finish(upload, batch)
            return
        if upload.replaces_id is not None:
            path, number = transfer.path_of(upload), upload.video_id
            upload.finish(replace(upload.replaces_id, path, name=upload.name, number=number).pk)
            return
        beside = uploaded_sidecars.waiting(upload, batch)
        notes: list[str] = []
        video = accept(
            transfer.path_of(upload),
            name=upload.name,
            video_id=upload.video_id,
            beside=uploaded_sidecars.as_files(beside),
            tell=notes.append,
            **_fields(upload),
        )
        upload.tell(notes)
        upload.finish(video.pk)
        uploaded_sidecars.hand_over(beside, video)


def _fields(upload: Upload) -> dict[str, Any]:
    """Return the fields of the video that an upload names: the only place that applies its details.

    `upload.language` has no column of the video yet.
    """
    return {
        "title": upload.title,
        "description": upload.description,
        "category": upload.category,
        "tags": upload.tags.split(","),
        "publish_early": upload.publish_early,
        "downloads": upload.downloads,
        "visibility": upload.visibility,
    }


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


def _move(path: Path, target: Path) -> None:
    """Rename a file durably, so that it survives a power failure."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    if path != target:
        path.rename(target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
