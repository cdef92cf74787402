"""The end of a job: the measured playlists, and the rows that publish the video."""

import logging
from contextlib import suppress
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from transcoding.engine.package import playlists
from transcoding.engine.package.contents import StoredRendition, read_rendition
from transcoding.engine.package.files import store
from transcoding.engine.plan.plan import Plan
from transcoding.models import ChunkKind, TranscodingJob
from transcoding.steps import captions, file_versions, storyboards, texts, tracks
from transcoding.steps.file_versions import VersionError
from videos.models import Video, VideoQuality
from videos.storage import ledger
from videos.storage.paths import package_dir

log = logging.getLogger(__name__)


def write_playlists(video: Video, plan: Plan) -> None:
    """Replace all playlists of a package by measured ones, each atomically, the master playlist last."""
    package = package_dir(video)
    renditions = [read_rendition(package / rendition.key) for rendition in plan.video]
    audio = [read_rendition(package / rendition.key) for rendition in plan.audio]
    for rendition in [*renditions, *audio]:
        _store_text(package / rendition.key / "index.m3u8", playlists.media_playlist(rendition.seconds()))
    for rendition in renditions:
        _store_text(package / rendition.key / "iframes.m3u8", playlists.iframe_playlist(rendition))
    variants = [playlists.measured_variant(plan, rendition, audio) for rendition in renditions]
    variants = variants or [playlists.sound_variant(plan, audio)]
    master = playlists.master_playlist(variants, plan.audio)
    _store_text(package / "master.m3u8", playlists.with_captions(master, tracks.placed(package, video)))


def _store_text(path: Path, text: str) -> None:
    store(path, text.encode())


def publish(job: TranscodingJob, renditions: list[StoredRendition]) -> list[ChunkKind]:
    """Make the video ready, with all its rows, in one transaction; returns the kinds of work to be done next.

    renditions: as `verify.inspect` read them, the first one of video, if there is one.
    """
    with transaction.atomic():
        _lock(job)
        if not Video.objects.not_archived().filter(pk=job.video_id).complete(float(renditions[0].duration)):
            return []  # archived, published or replaced meanwhile
        VideoQuality.objects.filter(video=job.video_id).delete()
        VideoQuality.objects.bulk_create(_video_qualities(job, renditions))
        job.qualities.planned().complete()
        _close(job)
        if job.video.version_of_id is not None:
            job = file_versions.publish(job)
        opened = [ChunkKind.STORYBOARD] * storyboards.open_for(job)
        opened += _open_captions(job)
    ledger.note(Video.objects.get(pk=job.video_id))
    log.info("«%s» is ready: %s", job.video, job.video.get_absolute_url())
    return opened


def _lock(job: TranscodingJob) -> None:
    """Lock what the publication changes: for another version of a file, also the video that it becomes the file of."""
    if job.video.version_of_id is not None:
        with suppress(VersionError):  # in the archive nothing is published
            file_versions.locked(job.video.version_of_id)
    job.lock()


def _open_captions(job: TranscodingJob) -> list[ChunkKind]:
    """Ask for the subtitles of the source, or else at once for a transcription, if one is needed."""
    if texts.open_for(job):
        return [ChunkKind.CAPTIONS]
    return [ChunkKind.TRANSCRIPTION] if captions.open_for(job) else []


def _video_qualities(job: TranscodingJob, renditions: list[StoredRendition]) -> list[VideoQuality]:
    return [
        VideoQuality(
            video=job.video, quality=rung.key, width=rung.size[0], height=rung.size[1], bitrate=rung.bitrate // 1000
        )
        for rung in renditions
        if rung.size
    ]


def _close(job: TranscodingJob) -> None:
    """Record which worker finished the job, and when."""
    job.refresh_from_db(fields=["worker"])
    job.checkpoint(
        completed_at=timezone.now(),
        progress_percent=100,
        last_error=None,
        worker=None,
        claim_expires_at=None,
        processed_by_worker_id=job.worker and job.worker.worker_id,
        processed_by_worker_name=job.worker and job.worker.worker_name,
    )
