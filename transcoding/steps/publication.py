"""The end of a job: the measured playlists, and the rows that publish the video."""

import logging
from pathlib import Path

from django.db import transaction
from django.utils import timezone

from transcoding.engine.package import playlists
from transcoding.engine.package.contents import StoredRendition, caption_languages, read_rendition
from transcoding.engine.package.files import store
from transcoding.engine.plan.plan import Plan
from transcoding.models import ChunkKind, TranscodingJob
from transcoding.steps import captions, storyboards
from videos.models import Video, VideoQuality
from videos.storage import ledger

log = logging.getLogger(__name__)


def write_playlists(package: Path, plan: Plan) -> None:
    """Replace all playlists by measured ones, each atomically, the master playlist last."""
    renditions = [read_rendition(package / rendition.key) for rendition in plan.video]
    audio = [read_rendition(package / rendition.key) for rendition in plan.audio]
    for rendition in [*renditions, *audio]:
        _store_text(package / rendition.key / "index.m3u8", playlists.media_playlist(rendition.seconds()))
    for rendition in renditions:
        _store_text(package / rendition.key / "iframes.m3u8", playlists.iframe_playlist(rendition))
    variants = [playlists.measured_variant(plan, rendition, audio) for rendition in renditions]
    master = playlists.master_playlist(variants, plan.audio, plan.subtitles)
    tracks = captions.tracks_of(caption_languages(package))
    _store_text(package / "master.m3u8", playlists.with_captions(master, tracks))


def _store_text(path: Path, text: str) -> None:
    store(path, text.encode())


def publish(job: TranscodingJob, renditions: list[StoredRendition]) -> list[ChunkKind]:
    """Make the video ready, with all its rows, in one transaction; returns the kinds of work to be done next."""
    with transaction.atomic():
        if not Video.objects.alive().filter(pk=job.video_id).complete(float(renditions[0].duration)):
            return []  # archived or published meanwhile
        VideoQuality.objects.filter(video=job.video_id).delete()
        VideoQuality.objects.bulk_create(_video_qualities(job, renditions))
        job.qualities.planned().complete()
        _close(job)
        storyboards.open_for(job)
        opened = [ChunkKind.STORYBOARD] + [ChunkKind.TRANSCRIPTION] * captions.open_for(job)
    ledger.note(Video.objects.get(pk=job.video_id))
    log.info("«%s» is ready: %s", job.video, job.video.get_absolute_url())
    return opened


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
