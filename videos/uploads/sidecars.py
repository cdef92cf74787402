"""Captions and pictures that are uploaded in one batch with the video of their name; `videos.sidecars` reads them.

Clients send them before their video, which takes those that are here when it is complete.
"""

from collections.abc import Iterable

from django.db import transaction

from transcoding.engine.plan.plan import Plan
from transcoding.models import TranscodingJob
from transcoding.steps import tracks
from videos import sidecars
from videos.models import Upload, Video
from videos.sidecars import SUFFIXES, Sidecar, grouped
from videos.uploads import transfer

__all__ = ["MAX_BYTES", "SUFFIXES", "finish", "hand_over", "is_one", "waiting"]

MAX_BYTES = 10 << 20  # of one sidecar


def is_one(upload: Upload) -> bool:
    return bool(upload.batch) and sidecars.is_sidecar(upload.name)


def waiting(upload: Upload, batch: Iterable[Upload]) -> list[Upload]:
    """Return the sidecars of a video's upload that are here. The rows of its batch are locked."""
    rows = list(batch)
    beside = grouped(row.name for row in rows).videos.get(upload.name, ())
    here = [row for row in rows if is_one(row) and row.finished_at and row.video_id is None]
    return [row for row in here if row.name in beside and transfer.path_of(row).exists()]


def as_files(uploads: Iterable[Upload]) -> list[Sidecar]:
    return [Sidecar(transfer.path_of(upload), upload.name) for upload in uploads]


def hand_over(uploads: Iterable[Upload], video: Video) -> None:
    """Note that sidecars are a video's, and delete their files after the commit."""
    for upload in uploads:
        path = transfer.path_of(upload)
        upload.finish(video.pk)
        transaction.on_commit(lambda path=path: path.unlink(missing_ok=True))  # type: ignore[misc]


def finish(upload: Upload, batch: Iterable[Upload]) -> None:
    """Note that a sidecar is here, and give it to its video if that was complete before. The rows are locked."""
    groups = grouped(row.name for row in batch).videos
    owners = [row.video_id for row in batch if row.video_id and upload.name in groups.get(row.name, ())]
    video = Video.objects.not_archived().filter(pk__in=owners).first()
    upload.finish(None)
    if video is not None:
        _add(upload, video)


def _add(upload: Upload, video: Video) -> None:
    """Add a sidecar to a video that exists. A package that is published gets the files of its captions here."""
    found = sidecars.read(as_files([upload]), video.source_name)
    sidecars.attach_late(video, found)
    job = TranscodingJob.objects.select_for_update().get(video=video)
    if video.status == Video.Status.READY and job.plan:
        tracks.restore_files(job, Plan.from_json(job.plan))
    sidecars.use_poster(video, found)
    upload.tell(found.notes)
    hand_over([upload], video)
