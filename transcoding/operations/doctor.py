"""The checks of `manage.py doctor` about transcoding."""

import importlib.util
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.template.defaultfilters import pluralize
from django.utils import timezone

from transcoding.engine.codecs.h264 import SOFTWARE
from transcoding.engine.ffmpeg import encoders, processes
from transcoding.models import (
    Attempt,
    ChunkKind,
    ChunkStatus,
    Outcome,
    QualityProgress,
    QualityQuerySet,
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

STALLED = timedelta(minutes=30)
MAX_TITLES, MAX_FAILURES = 3, 10  # in the findings
RECENT = timedelta(hours=1)


def check_queues() -> Iterator[Finding]:
    """Check that each queue is served. Remote workers count for encoding."""
    nodes = running.nodes()
    served = set().union(*nodes.values())
    if Worker.objects.available().filter(worker_type=Worker.Type.REMOTE).exists():
        served.add(QUEUES[ChunkKind.VIDEO])
    findings = [_unserved(queue) for queue in sorted(_required_queues() - served)]
    for worker in Worker.objects.live().exclude(held_back=None):
        message = f"the worker {worker} takes no new work: {worker.held_back}"
        findings.append(Finding(State.AMBER, message, "Enable it in the admin, under Workers."))
    yield from findings or [Finding(State.GREEN, f"served by {', '.join(sorted(nodes)) or 'remote workers'}")]


def _required_queues() -> set[str]:
    return {queue for kind, queue in QUEUES.items() if kind != ChunkKind.TRANSCRIPTION or captions.is_enabled()}


def _unserved(queue: str) -> Finding:
    # Videos are published without captions, too.
    state = State.AMBER if queue == QUEUES[ChunkKind.TRANSCRIPTION] else State.RED
    return Finding(state, f"no node takes work from {queue}", f"Start manage.py up, or manage.py up --only {queue}.")


def check_ffmpeg() -> Iterator[Finding]:
    """Check that each encoder that the settings require encodes a second of a small video on this machine."""
    try:
        version = processes.version()
    except processes.FfmpegError as error:
        yield Finding(State.RED, str(error), "Run make setup to install one.")
        return
    if reason := encoders.why_not(SOFTWARE):
        advice = "Set VLOG_FFMPEG to another ffmpeg, or unset it to use the one that is installed with VLog."
        yield Finding(State.RED, f"{processes.executable()} cannot encode: {reason}", advice)
        return
    required = [name for name in encoders.preferred(settings.ENCODER) if name != SOFTWARE]
    unusable = {name: reason for name in required if (reason := encoders.why_not(name))}
    if settings.ENCODER in unusable:
        message = f"{settings.ENCODER} cannot be used here, {SOFTWARE} replaces it: {unusable[settings.ENCODER]}"
        yield Finding(State.AMBER, message, "See docs/encoding.md, or set VLOG_ENCODER=auto.")
    else:
        usable = [*(name for name in required if name not in unusable), SOFTWARE]
        yield Finding(State.GREEN, f"{version} encodes with {', '.join(usable)}")


def check_whisper() -> Iterator[Finding]:
    """Check that the weights exist. The model is not loaded, because that takes too long."""
    model, folder = settings.WHISPER_MODEL, Path(settings.WHISPER_DIR)
    if not captions.is_enabled():
        yield Finding(State.GREEN, "VLOG_WHISPER_MODEL is none: no captions are made")
    elif importlib.util.find_spec("whisper") is None:
        yield Finding(State.RED, "is not installed: no captions are made", "Run make setup.")
    elif Path(model).is_file() or any(folder.glob(f"*{Path(model).name}*.pt")):
        yield Finding(State.GREEN, f"the weights of {model} exist")
    elif "/" in model:
        advice = "Put the weights there, or set VLOG_WHISPER_MODEL to the name of a model or to none."
        yield Finding(State.RED, f"VLOG_WHISPER_MODEL is {model}, and there is no such file", advice)
    else:
        advice = (
            f"They are downloaded for the first video. Without a network, put them into {folder}: docs/captions.md."
        )
        yield Finding(State.AMBER, f"the weights of {model} are not downloaded yet", advice)


def check_jobs() -> Iterator[Finding]:
    """Check that jobs make progress, and that the recorded progress is consistent."""
    findings = []
    if stalled := _stalled_titles():
        count = f"{len(stalled)} video{pluralize(len(stalled), ' waits,s wait')}"
        message = f"{count}, and no job has made progress for half an hour: {titles(stalled)}"
        findings.append(Finding(State.RED, message, "Run manage.py jobs to see what each of them waits for."))
    if wrong := _wrong_progress().count() + _unfinished_progress().count():
        rows = f"{wrong} row{pluralize(wrong, ' has,s have')}"
        message = f"{rows} a progress that differs from the finished segments"
        findings.append(Finding(State.AMBER, message, fix=_correct_progress))
    yield from findings or [Finding(State.GREEN, "make progress, or there are none")]


def check_failures() -> Iterator[Finding]:
    """Report the latest failed videos, and workers that went offline while they held a chunk."""
    failed = Video.objects.alive().filter(status=Video.Status.FAILED)
    findings = []
    for video in failed.order_by("-job__last_checkpoint")[:MAX_FAILURES]:
        message = f"«{video}» failed: {(video.error_message or 'the reason was not recorded').rstrip('.')}"
        advice = f"See manage.py jobs show {video.pk} for details, and retry it with manage.py jobs retry {video.pk}."
        findings.append(Finding(State.AMBER, message, advice))
    lost = Attempt.objects.filter(outcome=Outcome.LOST, ended_at__gt=timezone.now() - RECENT)
    silent = Worker.objects.filter(worker_id__in=lost.values("worker_id"), status=Worker.Status.OFFLINE)
    for worker in silent.order_by("pk"):
        message = f"the worker {worker} went offline while it held a chunk, and has not been seen since"
        advice = "Check its machine and start it again. Other workers take its chunks."
        findings.append(Finding(State.AMBER, message, advice))
    yield from findings or [Finding(State.GREEN, "none: no video has failed")]


def titles(found: list[str]) -> str:
    """Return the first titles, for a sentence."""
    more = f" and {len(found) - MAX_TITLES} more" if len(found) > MAX_TITLES else ""
    return ", ".join(f"«{title}»" for title in found[:MAX_TITLES]) + more


def _stalled_titles() -> list[str]:
    """Return the titles of unfinished videos that make no progress. Empty while any chunk is being made."""
    now = timezone.now()
    if TranscodingChunk.objects.filter(status=ChunkStatus.RUNNING, lease_expires_at__gt=now).exists():
        return []
    unfinished = Video.objects.alive().filter(status__in=[Video.Status.PENDING, Video.Status.PROCESSING])
    waiting = unfinished.exclude(job__in=TranscodingJob.objects.waiting_for_space())
    moved = Q(job__last_checkpoint__lt=now - STALLED) | Q(job__last_checkpoint=None, created_at__lt=now - STALLED)
    return list(waiting.filter(moved).order_by("pk").values_list("title", flat=True))


def _wrong_progress() -> QuerySet[QualityProgress]:
    """Return the rows of unfinished jobs with a wrong percentage."""
    rungs = QualityProgress.objects.filter(job__completed_at=None, segments_total__gt=0)
    return rungs.exclude(progress_percent=100 * F("segments_completed") / F("segments_total"))


def _unfinished_progress() -> QualityQuerySet:
    """Return the rows of published videos that are not complete."""
    done = QualityProgress.objects.filter(job__completed_at__isnull=False, job__video__status=Video.Status.READY)
    return done.exclude(status=QualityStatus.SKIPPED).exclude(status=QualityStatus.COMPLETED, progress_percent=100)


def _correct_progress() -> str:
    corrected = _wrong_progress().update(progress_percent=100 * F("segments_completed") / F("segments_total"))
    corrected += _unfinished_progress().complete()
    return f"The progress of {corrected} row{pluralize(corrected)} was corrected."
