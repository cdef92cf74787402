"""The archive: deleted videos, until they are restored or purged.

The row says where the files belong, and `relocate` moves them there. Both happen under the row's lock, the files before
the commit: when the process is killed, the row is unchanged, and `reconcile` moves the files back.

    archive/<id>/source     was sources/<id>
    archive/<id>/media      was media/<id>-<key>
    archive/purged-<id>     an empty file: a purge has begun, and the folder is removed when the row is gone
"""

import logging
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from transcoding.engine.package import files
from transcoding.models import Outcome, TranscodingChunk, TranscodingJob
from videos.models import ArchiveEntry, Transcription, Video, VideoQuerySet
from videos.storage import paths
from workers.models import Worker

log = logging.getLogger(__name__)

NUMBER = re.compile(r"(\d+)")
PURGED = re.compile(r"purged-(\d+)")


def archive(video_id: int, by: str) -> bool:
    """Archive a video: its addresses stop working, its files are kept. False where it is gone or archived already."""
    with transaction.atomic():
        video = _lock(video_id, Video.objects.alive())
        if video is None:
            return False
        entry = ArchiveEntry.objects.archive(video, by)
        _stop_work(video)
        relocate(video)
        _update_caption_path(video)
        entry.size = size_of(paths.archive_dir(video))
        entry.save(update_fields=["size"])
    log.info("«%s» was archived by %s", video, by)
    return True


def restore(video_id: int) -> Video | None:
    """Restore an archived video, under its own address if that is free; None where it is not archived.

    The next sweep continues an unfinished job.
    """
    with transaction.atomic():
        video = _lock(video_id, Video.objects.filter(deleted_at__isnull=False))
        if video is None:
            return None
        ArchiveEntry.objects.restore(video)
        relocate(video)
        _update_caption_path(video)
    log.info("«%s» was restored: %s", video, video.get_absolute_url())
    return video


def purge(video_id: int) -> bool:
    """Delete an archived video permanently, rows and files, the source included. False where it is not archived."""
    with transaction.atomic():
        video = _lock(video_id, Video.objects.filter(deleted_at__isnull=False))
        if video is None:
            return False
        relocate(video)
        _purged(video_id).touch()
        video.delete()
    _finish_purge(video_id)
    log.info("«%s» was deleted permanently", video)
    return True


def due(now: datetime | None = None) -> VideoQuerySet:
    """Return the archived videos whose retention time has passed."""
    limit = (now or timezone.now()) - timedelta(days=settings.ARCHIVE_RETENTION_DAYS)
    return Video.objects.filter(deleted_at__lte=limit).order_by("deleted_at")


def purge_on(video: Video) -> datetime:
    """Return when an archived video is deleted permanently."""
    if video.deleted_at is None:
        raise ValueError(f"{video} is not archived")
    return video.deleted_at + timedelta(days=settings.ARCHIVE_RETENTION_DAYS)


def reconcile() -> int:
    """Move the files of every misplaced video to where its row says, after an interruption; returns how many."""
    video_ids = list(misplaced())
    for video_id in video_ids:
        with transaction.atomic():
            video = _lock(video_id, Video.objects.all())
            if video is not None:
                relocate(video)
    for video_id in _ids_among(paths.archives(), PURGED):
        if not Video.objects.filter(pk=video_id).exists():
            _finish_purge(video_id)
    return len(video_ids)


def relocate(video: Video) -> None:
    """Move a video's files to where its row says. Call it with the row locked."""
    home = paths.archive_dir(video)
    _purged(video.pk).unlink(missing_ok=True)
    sources, package = paths.source_path(video).parent, paths.package_dir(video)
    if video.deleted_at is not None:
        files.move(sources, home / "source")
        for folder in paths.packages_of(video):
            files.move(folder, home / "media")
        return
    files.move(home / "source", sources)
    for folder in (home / "media", *paths.packages_of(video)):
        if folder != package:
            files.move(folder, package)
    with suppress(FileNotFoundError):
        home.rmdir()


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(files.sizes(folder).values())


def _lock(video_id: int, videos: VideoQuerySet) -> Video | None:
    """Lock the job first, like every writer of several rows of a job, then the video."""
    TranscodingJob.objects.select_for_update(no_key=True).filter(video=video_id).first()
    return videos.select_for_update().filter(pk=video_id).first()


def _stop_work(video: Video) -> None:
    """Take the chunks of a video from their workers, which stop at the next report or delivery."""
    TranscodingChunk.objects.filter(job__video=video).running().release(Outcome.CANCELLED)
    Worker.objects.filter(current_job__video=video).update(current_job=None)


def _update_caption_path(video: Video) -> None:
    package = paths.archive_dir(video) / "media" if video.deleted_at else paths.package_dir(video)
    for row in Transcription.objects.filter(video=video, vtt_path__isnull=False):
        row.vtt_path = str((package / "captions" / f"{row.language}.vtt").relative_to(paths.root()))
        row.save(update_fields=["vtt_path"])


def misplaced() -> Iterator[int]:
    """Yield the ids of videos whose files are not where their rows say."""
    kept, begun = _ids_among(paths.archives(), NUMBER), _ids_among(paths.archives(), PURGED)
    sources, packages = _ids_among(paths.sources(), NUMBER), paths.package_keys()
    rows = Video.objects.values_list("pk", "media_key", "deleted_at").iterator()
    for video_id, key, deleted_at in rows:
        keys = packages.get(video_id, set())
        elsewhere = video_id in sources or keys if deleted_at else video_id in kept or keys - {key}
        if elsewhere or video_id in begun:
            yield video_id


def _ids_among(folder: Path, name: re.Pattern[str]) -> set[int]:
    """Return the ids of videos in the names of a folder's entries."""
    return {int(match[1]) for entry in files.names(folder) if (match := name.fullmatch(entry))}


def _purged(video_id: int) -> Path:
    return paths.archives() / f"purged-{video_id}"


def _finish_purge(video_id: int) -> None:
    """Delete the files of a video without a row; the mark last, so that the sweep continues an interrupted purge."""
    for folder in (paths.archives() / str(video_id), settings.SOURCES_DIR / str(video_id)):
        files.remove(folder)
    _purged(video_id).unlink(missing_ok=True)
