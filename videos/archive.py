"""The archive: deleted videos, until they are restored or purged.

The row says where the files belong (`videos.storage.placement`). Both change under the row's lock, the files before the
commit: when the process is killed, the row is unchanged, and `reconcile` moves the files back.
"""

import logging
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from transcoding.engine.package import files
from transcoding.models import Outcome, TranscodingChunk, TranscodingJob
from videos.models import ArchiveEntry, Video, VideoQuerySet
from videos.storage import ledger, paths, placement
from vlog import audit
from workers.models import Worker

log = logging.getLogger(__name__)

WARNED = timedelta(days=7)  # before the first video that came archived from another site is deleted permanently
NUMBER = re.compile(r"(\d+)")
PURGED = re.compile(r"purged-(\d+)")


def archive(video_id: int, by: str, version: int | None = None) -> bool:
    """Archive a video: its addresses stop working, its files are kept.

    False where it is gone, archived already, or does not have this version, if one is given.
    """
    with transaction.atomic():
        video = _lock(video_id, Video.objects.not_archived())
        if video is None or version not in (None, video.version):
            return False
        _archive(video, ArchiveEntry.objects.archive(video, by))
    log.info("«%s» was archived by %s", video, by)
    return True


def bring(video: Video, slug: str, by: str, at: datetime) -> None:
    """Archive a new video that was archived in another site, under the slug that it had there.

    Call it in a transaction.
    """
    locked = _lock(video.pk, Video.objects.not_archived())
    if locked is not None:
        _archive(locked, ArchiveEntry.objects.archive(locked, by, slug=slug, at=counted_from(at)))


def counted_from(at: datetime) -> datetime:
    """Return when a video counts as archived that came archived: its time goes on, but a week is left at least."""
    return max(at, timezone.now() - timedelta(days=settings.ARCHIVE_RETENTION_DAYS) + WARNED)


def _archive(video: Video, entry: ArchiveEntry) -> None:
    """Stop the work on a video and its versions, move their files, and note their size."""
    rows = _with_versions(video)
    for row in rows:
        _stop_work(row)
        placement.relocate(row)
    entry.size = sum(ledger.measure(row).total for row in rows)
    entry.save(update_fields=["size"])
    audit.record("archived", subject=video)


def restore(video_id: int) -> Video | None:
    """Restore an archived video, under its own address if that is free; None where it is not archived.

    The next sweep continues an unfinished job.
    """
    with transaction.atomic():
        video = _lock(video_id, Video.objects.filter(deleted_at__isnull=False))
        if video is None:
            return None
        ArchiveEntry.objects.restore(video)
        for row in _with_versions(video):
            placement.relocate(row)
        audit.record("restored", subject=video, after={"address": video.get_absolute_url()})
    log.info("«%s» was restored: %s", video, video.get_absolute_url())
    return video


def purge(video_id: int) -> bool:
    """Delete an archived video permanently, rows and files, the source included. False where it is not archived."""
    with transaction.atomic():
        video = _lock(video_id, Video.objects.filter(deleted_at__isnull=False))
        if video is None:
            return False
        rows = _with_versions(video)
        numbers = set[int]().union(*map(paths.numbers, rows))
        for row in rows:
            placement.relocate(row)
        for number in numbers:
            placement.purge_mark(number).touch()
        audit.record("permanently deleted", subject=video)
        video.delete()
    for number in numbers:
        _finish_purge(number)
    log.info("«%s» was deleted permanently", video)
    return True


def due(now: datetime | None = None) -> VideoQuerySet:
    """Return the archived videos whose retention time has passed."""
    limit = (now or timezone.now()) - timedelta(days=settings.ARCHIVE_RETENTION_DAYS)
    return Video.objects.listed().filter(deleted_at__lte=limit).order_by("deleted_at")


def purge_on(video: Video) -> datetime:
    """Return when an archived video is deleted permanently."""
    if video.deleted_at is None:
        raise ValueError(f"{video} is not archived")
    return video.deleted_at + timedelta(days=settings.ARCHIVE_RETENTION_DAYS)


def reconcile() -> int:
    """Move the files of every misplaced video to where its row says, after an interruption; returns how many."""
    video_ids = list(misplaced())
    for video_id in video_ids:
        placement.relocate_one(video_id)
    for number in _numbers_among(paths.archives(), PURGED):
        has = Q(pk=number) | Q(package_number=number) | Q(source_number=number)
        if not Video.objects.filter(has).exists():
            _finish_purge(number)
    return len(video_ids)


def _lock(video_id: int, videos: VideoQuerySet) -> Video | None:
    """Lock the jobs of all versions first, like every writer of several rows of a job, then the video."""
    TranscodingJob.objects.with_versions(video_id).lock()
    return videos.listed().select_for_update().filter(pk=video_id).first()


def _with_versions(video: Video) -> list[Video]:
    """Return a locked video and the holders of its other versions, which a trigger archives and restores with it."""
    return [video, *video.held.select_for_update().order_by("pk")]


def _stop_work(video: Video) -> None:
    """Take the chunks of a video from their workers, which stop at the next report or delivery."""
    TranscodingChunk.objects.filter(job__video=video).running().release(Outcome.CANCELLED)
    Worker.objects.filter(current_job__video=video).update(current_job=None)


def misplaced() -> Iterator[int]:
    """Yield the ids of videos whose files are not where their rows say."""
    kept, begun = _numbers_among(paths.archives(), NUMBER), _numbers_among(paths.archives(), PURGED)
    sources, packages = _numbers_among(paths.sources(), NUMBER), paths.package_keys()
    columns = ("pk", "media_key", "deleted_at", "misplaced", "package_number", "source_number")
    for video in Video.objects.only(*columns).iterator():
        package, numbers = paths.package_number(video), paths.numbers(video)
        keys = packages.get(package, set()) - (set() if video.deleted_at else {video.media_key})
        elsewhere = [paths.packages() / f"{package}-{other}" for other in keys]
        wrong, found = (paths.sources(), sources) if video.deleted_at else (paths.archives(), kept)
        elsewhere += [wrong / str(number) for number in numbers & found]
        # Some object stores go on listing a folder for a while after its last file was deleted.
        if video.misplaced or numbers & begun or any(folder.exists() for folder in elsewhere):
            yield video.pk


def _numbers_among(folder: Path, name: re.Pattern[str]) -> set[int]:
    """Return the numbers in the names of a folder's entries."""
    return {int(match[1]) for entry in files.names(folder) if (match := name.fullmatch(entry))}


def _finish_purge(number: int) -> None:
    """Delete the files that no row has any more; the mark last, so that the sweep continues an interrupted purge."""
    for folder in (paths.archives() / str(number), settings.SOURCES_DIR / str(number)):
        files.remove(folder)
    placement.purge_mark(number).unlink(missing_ok=True)
