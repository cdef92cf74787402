"""What `manage.py doctor` asks about the making of videos."""

import importlib.util
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from transcoding.engine.codecs.h264 import SOFTWARE
from transcoding.engine.ffmpeg import encoders, processes
from transcoding.models import (
    Attempt,
    ChunkKind,
    ChunkStatus,
    Outcome,
    QualityProgress,
    QualityStatus,
    TranscodingChunk,
    TranscodingJob,
)
from transcoding.queue.eligibility import QUEUES
from transcoding.steps import captions
from videos.models import Video
from vlog import running
from vlog.health import Finding, State
from workers.models import Worker

STILL = timedelta(minutes=30)
TOLD_TITLES, TOLD_FAILURES = 3, 10
LOST_LATELY = timedelta(hours=1)


def check_queues() -> Iterator[Finding]:
    """Whether somebody takes each kind of work; a remote worker encodes, too."""
    nodes = running.nodes()
    served = set().union(*nodes.values())
    if Worker.objects.available().filter(worker_type=Worker.Type.REMOTE).exists():
        served.add(QUEUES[ChunkKind.VIDEO])
    findings = [_unserved(queue) for queue in sorted(_wanted() - served)]
    for worker in Worker.objects.live().exclude(held_back=None):
        sentence = f"{worker} takes no new work: {worker.held_back}"
        findings.append(Finding(State.AMBER, sentence, "Let it work again in the admin, under Workers."))
    yield from findings or [Finding(State.GREEN, f"served by {', '.join(sorted(nodes)) or 'remote workers'}")]


def _wanted() -> set[str]:
    return {queue for kind, queue in QUEUES.items() if kind != ChunkKind.TRANSCRIPTION or captions.is_enabled()}


def _unserved(queue: str) -> Finding:
    # Without captions videos are published all the same.
    state = State.AMBER if queue == QUEUES[ChunkKind.TRANSCRIPTION] else State.RED
    return Finding(state, f"nobody takes work from {queue}", f"Start manage.py up, or manage.py up --only {queue}.")


def check_ffmpeg() -> Iterator[Finding]:
    """A second of a small picture by each encoder that the settings ask for, on this machine."""
    try:
        version = processes.version()
    except processes.FfmpegError as error:
        yield Finding(State.RED, str(error), "make setup brings one.")
        return
    if reason := encoders.why_not(SOFTWARE):
        advice = "Name another ffmpeg in VLOG_FFMPEG, or leave it out to use the one of VLog's packages."
        yield Finding(State.RED, f"{processes.executable()} does not encode: {reason}", advice)
        return
    asked = [name for name in encoders.preferred(settings.ENCODER) if name != SOFTWARE]
    useless = {name: reason for name in asked if (reason := encoders.why_not(name))}
    if settings.ENCODER in useless:
        sentence = f"{settings.ENCODER} cannot be used here, {SOFTWARE} takes its place: {useless[settings.ENCODER]}"
        yield Finding(State.AMBER, sentence, "See docs/encoding.md, or set VLOG_ENCODER=auto.")
    else:
        works = [*(name for name in asked if name not in useless), SOFTWARE]
        yield Finding(State.GREEN, f"{version} encodes with {', '.join(works)}")


def check_whisper() -> Iterator[Finding]:
    """Whether the weights are there; it is not loaded, which takes too long."""
    model, folder = settings.WHISPER_MODEL, Path(settings.WHISPER_DIR)
    if not captions.is_enabled():
        yield Finding(State.GREEN, "VLOG_WHISPER_MODEL is none: no captions are made")
    elif importlib.util.find_spec("whisper") is None:
        yield Finding(State.RED, "is not installed: no captions are made", "Run make setup.")
    elif Path(model).is_file() or any(folder.glob(f"*{Path(model).name}*.pt")):
        yield Finding(State.GREEN, f"the weights of {model} are there")
    elif "/" in model:
        advice = "Put the weights there, or name a model or none in VLOG_WHISPER_MODEL."
        yield Finding(State.RED, f"VLOG_WHISPER_MODEL names {model}, and no such file is there", advice)
    else:
        advice = f"They are fetched with the first video. Without a network put them into {folder}: docs/captions.md."
        yield Finding(State.AMBER, f"the weights of {model} are not there yet", advice)


def check_jobs() -> Iterator[Finding]:
    """Whether anything moves, and whether what is shown of it can be true."""
    findings = []
    if still := _standing_still():
        sentence = f"{len(still)} videos wait, and nothing has moved for half an hour: {titles(still)}"
        findings.append(Finding(State.RED, sentence, "manage.py jobs tells what each of them waits for."))
    if wrong := _wrong_progress().count() + _unfinished_progress().count():
        sentence = f"{wrong} rows tell another progress than that of their segments"
        findings.append(Finding(State.AMBER, sentence, mend=_correct_progress))
    yield from findings or [Finding(State.GREEN, "move, or there are none")]


def check_failures() -> Iterator[Finding]:
    """The videos that failed last, and who was silent in the middle of work."""
    failed = Video.objects.alive().filter(status=Video.Status.FAILED)
    findings = []
    for video in failed.order_by("-job__last_checkpoint")[:TOLD_FAILURES]:
        sentence = f"«{video}» failed: {(video.error_message or 'it is not known why').rstrip('.')}"
        findings.append(
            Finding(State.AMBER, sentence, f"manage.py jobs show {video.job.pk} tells more; retry it there.")
        )
    lost = Attempt.objects.filter(outcome=Outcome.LOST, ended_at__gt=timezone.now() - LOST_LATELY)
    silent = Worker.objects.filter(worker_id__in=lost.values("worker_id"), status=Worker.Status.OFFLINE)
    for worker in silent.order_by("pk"):
        sentence = f"the worker {worker} went silent at work, and has not been heard of since"
        findings.append(Finding(State.AMBER, sentence, "Look at its machine and start it again; others do its work."))
    yield from findings or [Finding(State.GREEN, "none: no video has failed")]


def titles(found: list[str]) -> str:
    """The first of them, for a sentence."""
    more = f" and {len(found) - TOLD_TITLES} more" if len(found) > TOLD_TITLES else ""
    return ", ".join(f"«{title}»" for title in found[:TOLD_TITLES]) + more


def _standing_still() -> list[str]:
    """Titles of unfinished videos; none as long as anybody works at anything."""
    now = timezone.now()
    if TranscodingChunk.objects.filter(status=ChunkStatus.RUNNING, lease_expires_at__gt=now).exists():
        return []
    unfinished = Video.objects.alive().filter(status__in=[Video.Status.PENDING, Video.Status.PROCESSING])
    waiting = unfinished.exclude(job__in=TranscodingJob.objects.waiting_for_space())
    moved = Q(job__last_checkpoint__lt=now - STILL) | Q(job__last_checkpoint=None, created_at__lt=now - STILL)
    return list(waiting.filter(moved).order_by("pk").values_list("title", flat=True))


def _wrong_progress() -> QuerySet[QualityProgress]:
    """Rungs in the making."""
    rungs = QualityProgress.objects.filter(job__completed_at=None, segments_total__gt=0)
    return rungs.exclude(progress_percent=100 * F("segments_completed") / F("segments_total"))


def _unfinished_progress() -> QuerySet[QualityProgress]:
    """Rungs of videos that were published."""
    done = QualityProgress.objects.filter(job__completed_at__isnull=False, job__video__status=Video.Status.READY)
    return done.exclude(status=QualityStatus.SKIPPED).exclude(status=QualityStatus.COMPLETED, progress_percent=100)


def _correct_progress() -> str:
    now = timezone.now()
    corrected = _wrong_progress().update(progress_percent=100 * F("segments_completed") / F("segments_total"))
    corrected += _unfinished_progress().update(status=QualityStatus.COMPLETED, progress_percent=100, completed_at=now)
    return f"The progress of {corrected} rows was counted again."
