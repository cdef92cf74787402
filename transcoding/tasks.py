"""The way of one video, from its arrival to its publication.

    probe → thumbnail → transcode                     on arrival
        encode, encode_audio                          bells: "there may be work"
    master_playlist → finalize                        when the last chunk is delivered

The rows are the truth and messages are bells: one that is lost, late or doubled changes nothing. Every step can run
twice, does nothing where its work is done, and `sweep` sends again what was lost.
"""

import logging
import shutil
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any

from celery import Signature, Task, chain
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Coalesce
from django.utils import timezone
from kombu.exceptions import OperationalError

from transcoding import ffmpeg, pictures, playlists
from transcoding.ladder import skipped_for
from transcoding.local import LocalQueue
from transcoding.media import MediaError, MediaInfo, read_media
from transcoding.models import (
    UNFINISHED,
    ChunkKind,
    ChunkStatus,
    QualityProgress,
    QualityStatus,
    Step,
    TranscodingChunk,
    TranscodingJob,
)
from transcoding.package import Rendition, read_rendition, store, tidy
from transcoding.plan import Plan, chunks, make_plan
from transcoding.verify import verify
from transcoding.work import work_one
from videos.models import Video, VideoQuality
from videos.storage import package_dir, source_path
from vlog.celery import app
from workers import nodes
from workers.models import Worker

log = logging.getLogger(__name__)

MAX_BELLS = 50  # rung by one sweep; the next rings for what is left
WORK_QUEUES = {ChunkKind.VIDEO: "encode", ChunkKind.AUDIO: "tasks"}


class StepTask(Task):
    """A step that crashes leaves its reason on the job; the sweep sends it again while attempts are left."""

    def on_failure(self, exc: Exception, task_id: str, args: tuple[int], kwargs: object, einfo: object) -> None:
        reason = f"the step {self.name.rsplit('.', 1)[-1]} failed: {type(exc).__name__}: {exc}"
        TranscodingJob.objects.filter(pk=args[0]).update(last_error=reason)


def step(function: Callable[[TranscodingJob], None]) -> Task:
    """Make a task of a step: entered only while the video wants it, and noted on the job."""

    @wraps(function)
    def run(job_id: int) -> None:
        job = TranscodingJob.objects.select_related("video").filter(pk=job_id).first()
        if job is not None and job.begin(function.__name__):
            function(job)

    return app.task(base=StepTask)(run)


def start(job: TranscodingJob) -> None:
    """Send a job on its way; where the broker is away, the sweep will."""
    _send(chain(*(task.si(job.pk) for task in (probe, thumbnail, transcode))))


def finish(job_id: int) -> None:
    """Everything is encoded: send the last two steps."""
    _send(chain(master_playlist.si(job_id), finalize.si(job_id)))


@step
def probe(job: TranscodingJob) -> None:
    """Find out what the source is, and lay out everything that will be made of it."""
    if job.plan is None:
        try:
            media = read_media(source_path(job.video))
        except MediaError as error:
            job.fail(str(error))
            return
        _lay_out(job, media)
    _write_planned_playlists(job)


@step
def thumbnail(job: TranscodingJob) -> None:
    """A poster, from one keyframe; a video without one is published all the same."""
    target = package_dir(job.video) / "poster.jpg"
    if not target.exists():
        try:
            pictures.poster(_plan(job), source_path(job.video), target)
        except ffmpeg.FfmpegError as error:
            log.warning("«%s» gets no poster: %s", job.video, error)


@step
def transcode(job: TranscodingJob) -> None:
    """Call for workers: one bell for each chunk."""
    waiting = job.chunks.open()
    if not waiting.exists():
        finish(job.pk)
    for kind in waiting.values_list("kind", flat=True):
        ring(kind)


@app.task(bind=True)
def encode(self: Task) -> None:
    """A bell: there may be a piece of video to encode."""
    work(str(self.request.hostname), [ChunkKind.VIDEO])


@app.task(bind=True)
def encode_audio(self: Task) -> None:
    """A bell: there may be sound to encode."""
    work(str(self.request.hostname), [ChunkKind.AUDIO])


@step
def master_playlist(job: TranscodingJob) -> None:
    """Replace all playlists by what the segments really are."""
    package, plan = package_dir(job.video), _plan(job)
    renditions = [read_rendition(package / rung.name) for rung in plan.rungs]
    audio = read_rendition(package / "audio") if plan.audio else None
    for rendition in [*renditions, *([audio] if audio else [])]:
        _store_text(package / rendition.name / "index.m3u8", playlists.media_playlist(rendition.seconds()))
    for rendition in renditions:
        _store_text(package / rendition.name / "iframes.m3u8", playlists.iframe_playlist(rendition))
    variants = [playlists.measured_variant(plan, rendition, audio) for rendition in renditions]
    language = plan.audio.language if plan.audio else None
    _store_text(package / "master.m3u8", playlists.master_playlist(variants, audio_language=language))


@step
def finalize(job: TranscodingJob) -> None:
    """Publish what keeps the rules, and nothing else."""
    package, plan = package_dir(job.video), _plan(job)
    problems = verify(package, plan)
    if problems:
        job.fail("What was encoded breaks the rules of HLS and was not published: " + "; ".join(problems[:5]))
        return
    tidy(package)
    _publish(job, [read_rendition(package / rung.name) for rung in plan.rungs])


@app.task
def sweep() -> None:
    """Every few seconds: give back expired leases, ring lost bells again, send lost steps again."""
    _give_back_expired()
    for kind, queue in WORK_QUEUES.items():
        waiting = TranscodingChunk.objects.filter(kind=kind, status=ChunkStatus.PENDING).count()
        if waiting and not _queue_length(queue):
            for _ in range(min(waiting, MAX_BELLS)):
                ring(kind)
    if not _queue_length("tasks"):
        for job in _stalled():
            _send_again(job)


def ring(kind: str) -> None:
    """Tell one worker that there may be work of this kind."""
    _send({ChunkKind.VIDEO: encode, ChunkKind.AUDIO: encode_audio}[ChunkKind(kind)].si())


def work(node: str, kinds: Collection[str], only: TranscodingJob | None = None) -> bool:
    """Do one piece of work (of one job) in the name of a node; False where there was none for it."""
    worker = Worker.objects.filter(worker_id=nodes.worker_id_of(node)).first() or nodes.register(node)
    if worker.status == Worker.Status.DISABLED:
        return False
    return work_one(LocalQueue(worker, finish, only), kinds, nodes.stopping, settings.ENCODE_THREADS)


def retry(job: TranscodingJob) -> None:
    """Take a failed video up again; what was encoded well is kept."""
    if not job.reopen():
        return
    if job.plan is not None and not job.chunks.exclude(status=ChunkStatus.COMPLETED).exists():
        # All was encoded and it still failed: something in the package is wrong, so it is made anew.
        shutil.rmtree(package_dir(job.video), ignore_errors=True)
        job.chunks.update(status=ChunkStatus.PENDING, failures=0)
        job.qualities.exclude(status=QualityStatus.SKIPPED).update(
            status=QualityStatus.PENDING, segments_completed=0, progress_percent=0, completed_at=None
        )
    transaction.on_commit(lambda: start(job))


def _plan(job: TranscodingJob) -> Plan:
    job.refresh_from_db(fields=["plan"])
    return Plan.from_json(job.plan or {})


def _lay_out(job: TranscodingJob, media: MediaInfo) -> None:
    """Write the plan and a row for every rung and chunk, all or nothing."""
    plan = make_plan(media, encoder=settings.ENCODER, preset=settings.X264_PRESET, ffmpeg=ffmpeg.version())
    with transaction.atomic():
        locked = TranscodingJob.objects.select_for_update().get(pk=job.pk)
        if locked.plan is not None:
            return  # the same step runs twice, and the other was first
        Video.objects.filter(pk=job.video_id).update(
            duration=media.duration, source_width=media.video.width, source_height=media.video.height
        )
        job.checkpoint(plan=plan.to_json())
        QualityProgress.objects.bulk_create(_quality_rows(job, plan, media))
        TranscodingChunk.objects.bulk_create(_chunk_rows(job, plan))


def _quality_rows(job: TranscodingJob, plan: Plan, media: MediaInfo) -> list[QualityProgress]:
    skipped = skipped_for(media.video.width, media.video.height)
    return [
        *(QualityProgress(job=job, quality=rung.name, segments_total=len(plan.timeline)) for rung in plan.rungs),
        *(QualityProgress(job=job, quality=name, status=QualityStatus.SKIPPED) for name in skipped),
    ]


def _chunk_rows(job: TranscodingJob, plan: Plan) -> list[TranscodingChunk]:
    rows = [
        TranscodingChunk(job=job, index=chunk.index, first_segment=chunk.first, last_segment=chunk.last)
        for chunk in chunks(plan.timeline)
    ]
    if plan.audio:
        rows.append(TranscodingChunk(job=job, kind=ChunkKind.AUDIO, last_segment=len(plan.audio.timeline) - 1))
    return rows


def _write_planned_playlists(job: TranscodingJob) -> None:
    """Complete playlists before anything is encoded; those that were measured later stay."""
    package, plan = package_dir(job.video), _plan(job)
    timelines = {rung.name: plan.timeline for rung in plan.rungs}
    if plan.audio:
        timelines["audio"] = plan.audio.timeline
    for name, timeline in timelines.items():
        _store_text(package / name / "index.m3u8", playlists.planned_playlist(timeline), replace=False)
    master = playlists.master_playlist(
        playlists.provisional_variants(plan), audio_language=plan.audio.language if plan.audio else None
    )
    _store_text(package / "master.m3u8", master, replace=False)


def _store_text(path: Path, text: str, *, replace: bool = True) -> None:
    store(path, text.encode(), replace=replace)


def _publish(job: TranscodingJob, renditions: list[Rendition]) -> None:
    now = timezone.now()
    with transaction.atomic():
        published = Video.objects.alive().filter(pk=job.video_id, status=Video.Status.PROCESSING)
        if not published.update(
            status=Video.Status.READY,
            error_message=None,
            duration=float(renditions[0].duration),
            published_at=Coalesce("published_at", now),
        ):
            return  # archived or published meanwhile
        VideoQuality.objects.filter(video=job.video_id).delete()
        VideoQuality.objects.bulk_create(_video_qualities(job, renditions))
        job.qualities.exclude(status=QualityStatus.SKIPPED).update(
            status=QualityStatus.COMPLETED, progress_percent=100, completed_at=Coalesce("completed_at", now)
        )
        _close(job, now)
    log.info("«%s» is ready: %s", job.video, job.video.get_absolute_url())


def _video_qualities(job: TranscodingJob, renditions: list[Rendition]) -> list[VideoQuality]:
    return [
        VideoQuality(
            video=job.video, quality=rung.name, width=rung.size[0], height=rung.size[1], bitrate=rung.bitrate // 1000
        )
        for rung in renditions
        if rung.size
    ]


def _close(job: TranscodingJob, now: datetime) -> None:
    """The audit: who finished it, and when."""
    job.refresh_from_db(fields=["worker"])
    job.checkpoint(
        completed_at=now,
        progress_percent=100,
        last_error=None,
        worker=None,
        claim_expires_at=None,
        processed_by_worker_id=job.worker and job.worker.worker_id,
        processed_by_worker_name=job.worker and job.worker.worker_name,
    )


def _give_back_expired() -> None:
    with transaction.atomic():
        expired = TranscodingChunk.objects.expired().select_for_update(skip_locked=True, of=("self",))
        for chunk in expired.select_related("job__video"):
            if chunk.lose_lease() and chunk.status == ChunkStatus.RUNNING:
                chunk.status, chunk.lease_expires_at = ChunkStatus.PENDING, None
                chunk.save(update_fields=["status", "lease_expires_at"])


def _stalled() -> list[TranscodingJob]:
    """Jobs that wait for a step and not for a chunk, and have not moved for as long as a lease."""
    since = timezone.now() - timedelta(seconds=settings.LEASE_SECONDS)
    open_chunks = TranscodingChunk.objects.open().filter(job=OuterRef("pk"))
    jobs = TranscodingJob.objects.filter(video__status__in=UNFINISHED, video__deleted_at=None)
    jobs = jobs.exclude(Exists(open_chunks), current_step=Step.TRANSCODE)
    moved = Coalesce("last_checkpoint", F("video__created_at"))
    return list(jobs.annotate(moved=moved).filter(moved__lt=since).select_related("video"))


def _send_again(job: TranscodingJob) -> None:
    """A step that began and did not end has cost an attempt; one that never began has not."""
    if job.current_step is not None:
        reason = job.last_error or f"the step {job.current_step} was cut off"
        job.spend_attempt(job.attempt_number, reason)
        if job.attempt_number >= job.max_attempts:
            return
    log.warning("«%s» stood still at %s: sent again", job.video, job.current_step or "the start")
    job.checkpoint()
    if job.chunks.exists() and not job.chunks.open().exists():
        finish(job.pk)
    else:
        start(job)


def _queue_length(queue: str) -> int:
    with app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        length: int = channel.queue_declare(queue).message_count
        return length


def _send(signature: Signature) -> None:
    try:
        signature.apply_async()
    except OperationalError as error:
        log.warning("Redis does not answer, the sweep will send %s later: %s", signature, error)
