"""How a video is made, from its arrival to its publication.

    probe → thumbnail → transcode                     on arrival
        encode, encode_audio                          wake-ups: a chunk may be waiting
    master_playlist → finalize                        when the last chunk is complete
        generate_storyboard, extract_captions, transcribe      wake-ups: a published video may be waiting

The rows are the truth, and a message only wakes a worker: one that is lost, late or doubled changes nothing. Every step
can run twice, does nothing where its work is done, and `sweep` sends again what was lost.
"""

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any

from billiard.exceptions import WorkerLostError
from celery import Task, chain
from celery.signals import task_failure, worker_init, worker_ready
from django.conf import settings
from django.db import close_old_connections, transaction

from transcoding.engine.ffmpeg import processes
from transcoding.engine.package import files
from transcoding.engine.package.contents import tidy
from transcoding.engine.plan.plan import KNOWN_FORMATS
from transcoding.engine.source.probe import MediaError
from transcoding.engine.speech.transcribe import transcribe_one
from transcoding.engine.work import is_disk_full, work_one
from transcoding.models import (
    TRANSCRIBED,
    ChunkKind,
    ChunkStatus,
    PipelineStep,
    TranscodingChunk,
    TranscodingJob,
)
from transcoding.queue import disk_quota, incompatible, recovery
from transcoding.queue.eligibility import QUEUES
from transcoding.queue.wakeups import finish, notify_workers, queue_length, send
from transcoding.steps import (
    audio_tracks,
    captions,
    chapters,
    layout,
    posters,
    publication,
    speech,
    storyboards,
    texts,
    tracks,
)
from transcoding.steps.queues import queue_for
from videos.storage import placement
from videos.storage.paths import package_dir, reading
from vlog import audit, disk, logs
from vlog.celery import app
from workers import nodes
from workers.models import Worker

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5  # between two checks of a node's pool processes
MAX_WAKE_UPS = 50  # of one sweep; the next one sends more
UNREPORTED_SECONDS = 10  # many times the interval of the reports of a process that works


class StepTask(Task):
    """A step that records a crash on the job; the sweep sends it again while attempts remain."""

    def on_failure(self, exc: Exception, task_id: str, args: tuple[int], kwargs: object, einfo: object) -> None:
        reason = f"the step {self.name.rsplit('.', 1)[-1]} failed: {type(exc).__name__}: {exc}"
        TranscodingJob.objects.filter(pk=args[0]).update(last_error=reason)


def step(function: Callable[[TranscodingJob], None]) -> Task:
    """Make a task of a step, which runs only while the video is unfinished and is recorded on the job.

    Nothing follows the probe before the job has a plan: it may wait for disk space.
    """

    @wraps(function)
    def run(job_id: int) -> None:
        logs.bind(job=job_id)
        job = TranscodingJob.objects.select_related("video").filter(pk=job_id).first()
        if job is None or (job.plan is None and function.__name__ != PipelineStep.PROBE):
            return
        if job.current_step == PipelineStep.ARRIVAL:
            return  # the site starts it when the source is in the object store
        if job.plan_format not in KNOWN_FORMATS:
            job.checkpoint(current_step=None)  # never begun, so that the sweep sends it again without an attempt
            log.warning("«%s» has a plan of format %d: a newer node has to do this step", job.video, job.plan_format)
            return
        while job.begin(function.__name__):
            with nodes.deferred_sigterm(), _full_disk_spends_nothing(job):
                if placement.stays(job.video, partial(function, job)):
                    return

    return app.task(base=StepTask)(run)


@contextmanager
def _full_disk_spends_nothing(job: TranscodingJob) -> Iterator[None]:
    """Treat a step that found the disk full as never begun: the sweep sends it again without spending an attempt."""
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            job.checkpoint(current_step=None)
        raise


def start(job: TranscodingJob) -> None:
    """Send the first steps of a job; if the broker is unavailable, the sweep sends them."""
    send(chain(*(task.si(job.pk) for task in (probe, thumbnail, transcode))))


@step
def probe(job: TranscodingJob) -> None:
    """Analyse the source, and write the plan of everything that will be made of it."""
    if job.plan is None:
        try:
            media = layout.analyse(job)
        except MediaError as error:
            job.fail(str(error))
            return
        if not layout.lay_out(job, media):
            return
    layout.write_planned_playlists(job)


@step
def thumbnail(job: TranscodingJob) -> None:
    """Make the poster; a video without one is published all the same."""
    try:
        job.warn(*posters.make_first(job.video, layout.plan_of(job)))
    except processes.FfmpegError as error:
        log.warning("«%s» gets no poster: %s", job.video, error)


@step
def transcode(job: TranscodingJob) -> None:
    """Wake workers up, once for each chunk."""
    waiting = job.chunks.encoding().open()
    if not waiting.exists():
        finish(job.pk)
    for kind in waiting.values_list("kind", flat=True):
        notify_workers(kind)


@app.task(bind=True)
def encode(self: Task) -> None:
    """Encode a video chunk, if one is waiting."""
    with nodes.deferred_sigterm():
        encode_next(str(self.request.hostname), [ChunkKind.VIDEO])


@app.task(bind=True)
def encode_audio(self: Task) -> None:
    """Encode an audio chunk, if one is waiting."""
    with nodes.deferred_sigterm():
        encode_next(str(self.request.hostname), [ChunkKind.AUDIO])


@step
def master_playlist(job: TranscodingJob) -> None:
    """Replace the planned playlists by measured ones."""
    publication.write_playlists(job.video, audio_tracks.plan_with_tracks(job))


@step
def finalize(job: TranscodingJob) -> None:
    """Check the package, and publish it if it breaks no rule of HLS."""
    package, plan = package_dir(job.video), audio_tracks.plan_with_tracks(job)
    tracks.restore_files(job, plan)
    chapters.write_file(job.video)
    tidy(package)
    report, heard = audio_tracks.inspect(job, plan)
    if report.problems and placement.follow(job.video):
        return  # the files have moved under the gate's eyes, and the step runs again
    if report.problems:
        job.fail("The package breaks rules of HLS and was not published: " + "; ".join(report.problems[:5]))
        return
    if audio_tracks.encode_instead(job, plan, heard):
        return
    job.warn(*(f"{warning}." for warning in report.warnings))
    audio_tracks.note_loudness(job.video, heard)
    for kind in publication.publish(job, report.renditions):
        notify_workers(kind)


@app.task(bind=True)
def generate_storyboard(self: Task) -> None:
    """Generate the storyboard of a published video, if one is waiting."""
    with nodes.deferred_sigterm():
        generate_next_storyboard(str(self.request.hostname))


@app.task(bind=True)
def extract_captions(self: Task) -> None:
    """Take the subtitles of a published video's original, if some are waiting."""
    with nodes.deferred_sigterm():
        texts.extract_one(texts.TextQueue(_worker(str(self.request.hostname))), nodes.stopping)


@app.task
def backfill_storyboards() -> None:
    """Ask for storyboards of videos that an earlier release published, some every minute; the sweep wakes workers."""
    storyboards.backfill()


@app.task(bind=True)
def transcribe(self: Task) -> None:
    """Transcribe a published video, if one is waiting."""
    with nodes.deferred_sigterm():
        transcribe_next(str(self.request.hostname))


@app.task
def sweep() -> None:
    """Release chunks with expired leases, and send lost wake-ups and lost steps again, every few seconds.

    While the disk is low nothing is sent, because no worker would claim it.
    """
    nodes.mark_stale_offline()
    recovery.release_expired()
    incompatible.sweep()
    if disk.usage().is_low:
        return
    _notify_workers_again()
    if not queue_length("tasks"):
        for job in recovery.stalled():
            _send_again(job)
        for job in disk_quota.waiting().filter(reserved_bytes__lte=disk_quota.available()):
            start(job)


def _notify_workers_again() -> None:
    for kind, queue in QUEUES.items():
        if kind in TRANSCRIBED and not captions.is_enabled():
            continue
        waiting = TranscodingChunk.objects.not_archived().filter(kind=kind, status=ChunkStatus.PENDING).count()
        if waiting and not queue_length(queue):
            # Uploads wait behind the messages of that queue, so storyboards come one by one.
            for _ in range(min(waiting, 1 if kind == ChunkKind.STORYBOARD else MAX_WAKE_UPS)):
                notify_workers(kind)


@worker_init.connect
def expire_own_leases(sender: Any, **kwargs: object) -> None:
    """Expire the leases of a node that starts: it was killed with those chunks."""
    recovery.expire_leases_of(nodes.worker_id_of(sender.hostname))


@worker_init.connect
def watch_pool_processes(sender: Any, **kwargs: object) -> None:
    task_failure.connect(partial(reclaim_after_crash, sender.hostname, sender.concurrency), weak=False)


def reclaim_after_crash(node: str, processes: int, exception: Exception, **kwargs: object) -> None:
    """Shorten the leases of this node after one of its processes was killed."""
    if isinstance(exception, WorkerLostError):
        # The other processes renew their leases meanwhile.
        recovery.expire_leases_of(nodes.worker_id_of(node), UNREPORTED_SECONDS if processes > 1 else 0)
        close_old_connections()  # the pool's next process is forked from here
        send(sweep.si())


@worker_ready.connect
def poll_processes(sender: Any, **kwargs: object) -> None:
    """Notice a killed pool process within half a second.

    Celery checks when a process closes its files, often before the kernel has reaped it, and again only 5 s later.
    """
    sender.timer.call_repeatedly(POLL_SECONDS, sender.pool.maintain_pool)


@worker_ready.connect
def request_work(sender: Any, **kwargs: object) -> None:
    send(sweep.si())


def encode_next(node: str, kinds: Collection[str], only: TranscodingJob | None = None) -> bool:
    """Make one chunk (only: of this job) as a node; False where none was waiting for it."""
    queue = queue_for(ChunkKind.VIDEO, _worker(node), only)  # the same for video and audio
    return work_one(queue, kinds, nodes.stopping, settings.ENCODE_THREADS, reading)


def transcribe_next(node: str) -> bool:
    """Transcribe one video or a part of one as a node; False where none was waiting for it."""
    arguments = (captions.whisper(), nodes.stopping, settings.ENCODE_THREADS, reading)
    queues = speech.queues_of(_worker(node)) if captions.is_enabled() else []
    return any(transcribe_one(queue, *arguments) for queue in queues)


def generate_next_storyboard(node: str) -> bool:
    """Generate the storyboard of one video as a node; False where none was waiting for it."""
    return storyboards.generate_one(storyboards.StoryboardQueue(_worker(node)), nodes.stopping)


def _worker(node: str) -> Worker:
    return Worker.objects.filter(worker_id=nodes.worker_id_of(node)).first() or nodes.register(node)


def transcribe_again(job: TranscodingJob, language: str = "", glossary: str | None = None) -> bool:
    """Ask for a transcription of a published video; False where that is not possible now: see `captions.request`."""
    with transaction.atomic():
        if not captions.request(job, language, glossary):
            return False
        audit.record("requested a transcription of", subject=job.video)
    transaction.on_commit(lambda: notify_workers(ChunkKind.TRANSCRIPTION))
    return True


def retry(job: TranscodingJob) -> None:
    """Continue a failed video; what was encoded well is kept."""
    job.refresh_from_db(fields=["cancelled_by", "plan"])
    was_cancelled = job.cancelled_by is not None
    with transaction.atomic():
        if not job.reopen():
            return
        audit.record("retried the job of", subject=job.video)
    if job.plan is not None and job.is_encoded() and not was_cancelled:
        # All was encoded and it still failed, so something in the package is wrong.
        with transaction.atomic():
            files.remove(package_dir(placement.locked(job.video_id) or job.video))
            job.restart_package()
    transaction.on_commit(lambda: send_again(job))


def _send_again(job: TranscodingJob) -> None:
    """Send a stalled job again; a step that began and did not end has spent an attempt."""
    if job.current_step is not None:
        reason = job.last_error or f"the step {job.current_step} was interrupted"
        job.spend_attempt(job.attempt_number, reason)
        if job.attempt_number >= job.max_attempts:
            return
    log.warning("«%s» was stalled at %s: sent again", job.video, job.current_step or "the start")
    job.checkpoint()
    send_again(job)


def send_again(job: TranscodingJob) -> None:
    """Send the next steps of an unfinished job; sending them twice does no harm."""
    chunks = job.chunks.encoding()
    if chunks.exists() and not chunks.open().exists():
        finish(job.pk)
    else:
        start(job)
