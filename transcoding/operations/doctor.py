"""The checks of `manage.py doctor` about transcoding."""

import importlib.util
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from transcoding.engine.codecs.h264 import SOFTWARE
from transcoding.engine.ffmpeg import confinement, encoders, processes
from transcoding.engine.speech.backends import FASTER
from transcoding.models import (
    TRANSCRIBED,
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
from transcoding.models.states import FAULT_OF_FILE, GIVEN_UP
from transcoding.queue.disk_quota import LARGER_DISK
from transcoding.queue.eligibility import QUEUES
from transcoding.steps import captions
from videos.models import Video
from vlog import release, running
from vlog.health import MORE, Finding, State
from vlog.sentences import counted
from workers import nodes, releases
from workers.models import Worker

PROTECTIONS = {
    "files": "write to other files than their output",
    "TCP": "connect to other ports than that of their source",
    "sockets": "open any other socket",
    "signals": "send signals to other processes",
}
STALLED = timedelta(minutes=30)
MAX_TITLES, MAX_FAILURES = 3, 10  # in the findings


def check_queues() -> Iterator[Finding]:
    """Check that each queue is served. Remote workers count for encoding."""
    answers = running.replies()
    served = set().union(*(queues for _, queues in answers))
    if Worker.objects.available().filter(worker_type=Worker.Type.REMOTE).exists():
        served.add(QUEUES[ChunkKind.VIDEO])
    served |= _queues_of_live_nodes()
    findings = [_unserved(queue) for queue in sorted(_required_queues() - served)]
    findings += [_namesakes(name) for name in running.namesakes(answers)]
    for worker in Worker.objects.live().exclude(held_back=None):
        message = f"the worker {worker} takes no new work: {worker.held_back}"
        findings.append(Finding(State.AMBER, message, "Enable it in the admin, under Workers."))
    for worker in Worker.objects.live():
        if other := releases.other_release(worker):
            message = f"the worker {worker} runs another release than this one, {release.name()}: {other}"
            findings.append(Finding(State.AMBER, message, releases.advice(worker)))
    yield from findings or [
        Finding(State.GREEN, f"served by {', '.join(sorted(name for name, _ in answers)) or 'remote workers'}")
    ]


def _queues_of_live_nodes() -> set[str]:
    """Return the queues of the nodes that sent a heartbeat just now: on a busy machine a node may reply too late."""
    since = timezone.now() - timedelta(seconds=1.5 * nodes.HEARTBEAT_SECONDS)
    live = Worker.objects.live().filter(worker_type=Worker.Type.LOCAL, last_heartbeat__gte=since)
    return {str(worker).partition("@")[0] for worker in live}


def _required_queues() -> set[str]:
    return {queue for kind, queue in QUEUES.items() if kind not in TRANSCRIBED or captions.is_enabled()}


def _unserved(queue: str) -> Finding:
    # Videos are published without captions, too.
    state = State.AMBER if queue == QUEUES[ChunkKind.TRANSCRIPTION] else State.RED
    return Finding(state, f"no node takes work from {queue}", f"Start manage.py up, or manage.py up --only {queue}.")


def _namesakes(name: str) -> Finding:
    advice = "Give each node a name of its own (celery worker -n NAME@HOST), or stop the one that was left behind."
    return Finding(State.AMBER, f"several nodes have the name {name}: one that starts takes the others' chunks", advice)


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


def check_confinement() -> Iterator[Finding]:
    """Check what the kernel forbids the processes that read uploaded files."""
    held = confinement.protections()
    missing = [what for name, what in PROTECTIONS.items() if name not in held]
    if not missing:
        yield Finding(
            State.GREEN, f"the programs that read uploaded files cannot {_listed(list(PROTECTIONS.values()))}"
        )
        return
    message = f"the kernel does not forbid the programs that read uploaded files to {_listed(missing)}"
    yield Finding(State.AMBER, message, "Use Linux 6.12 or newer with Landlock and seccomp: SECURITY.md.")


def _listed(parts: list[str]) -> str:
    return " or ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def check_whisper() -> Iterator[Finding]:
    """Check that the weights exist. The model is not loaded, because that takes too long."""
    model, folder = settings.WHISPER_MODEL, Path(settings.WHISPER_DIR)
    path = Path(model.removeprefix(FASTER))
    if not captions.is_enabled():
        yield Finding(State.GREEN, "VLOG_WHISPER_MODEL is none: no captions are made")
    elif importlib.util.find_spec("whisper") is None:
        yield Finding(State.RED, "is not installed: no captions are made", "Run make setup.")
    elif path.is_file() or (path / "model.bin").is_file() or any(folder.glob(f"*{path.name}*.pt")):
        yield Finding(State.GREEN, f"the weights of {model} exist")
    elif "/" in model:
        advice = "Put the weights there, or set VLOG_WHISPER_MODEL to the name of a model or to none."
        yield Finding(State.RED, f"VLOG_WHISPER_MODEL is {model}, and there is no such file", advice)
    else:
        advice = (
            f"They are downloaded for the first video, or by manage.py whisper_model fetch {model}. Without a network, "
            f"put them into {folder}: docs/captions.md."
        )
        yield Finding(State.AMBER, f"the weights of {model} are not downloaded yet", advice)


def check_jobs() -> Iterator[Finding]:
    """Check that jobs make progress, and that the recorded progress is consistent."""
    findings = []
    if stalled := _stalled_titles():
        count = counted(len(stalled), "video waits", "videos wait")
        message = f"{count}, and no job has made progress for half an hour: {titles(stalled)}"
        advice = "Run manage.py jobs to see what each of them waits for."
        findings.append(Finding(State.RED, message, advice, key="stalled"))
    if wrong := _wrong_progress().count() + _unfinished_progress().count():
        rows = counted(wrong, "row has", "rows have")
        message = f"{rows} a progress that differs from the finished segments"
        findings.append(Finding(State.AMBER, message, fix=_correct_progress, key="progress"))
    yield from findings or [Finding(State.GREEN, "make progress, or there are none")]


def check_failures() -> Iterator[Finding]:
    """Report the latest failed videos, and workers that went offline while they held a chunk."""
    failed = Video.objects.not_archived().filter(status=Video.Status.FAILED, job__cancelled_by=None)
    videos = list(failed.select_related("job").order_by("-job__last_checkpoint")[: MAX_FAILURES + 1])
    findings = []
    for video in videos[:MAX_FAILURES]:
        message = f"«{video}» failed: {(video.error_message or 'the reason was not recorded').rstrip('.')}"
        findings.append(Finding(State.AMBER, message, _advice(video), key=f"video {video.pk}", is_sure=True))
    if len(videos) > MAX_FAILURES:
        findings.append(
            Finding(State.AMBER, "more videos failed before", "Run manage.py jobs list --failed.", key=MORE)
        )
    # Until the worker is back, however long that takes: otherwise an alert would say that this is over.
    lost = Attempt.objects.filter(
        outcome=Outcome.LOST, worker=OuterRef("worker_id"), ended_at__gt=OuterRef("last_heartbeat")
    )
    for worker in Worker.objects.filter(Exists(lost), status=Worker.Status.OFFLINE).order_by("pk"):
        message = f"the worker {worker} went offline while it held a chunk, and has not been seen since"
        advice = "Check its machine and start it again, or disable it. Other workers take its chunks."
        findings.append(Finding(State.AMBER, message, advice, is_sure=True))
    yield from findings or [Finding(State.GREEN, "none: no video has failed")]


def _advice(video: Video) -> str:
    """Return what to do about a failed video. To retry one is of no use if the fault is its file's."""
    details, job = f"See manage.py jobs show {video.pk} for details", getattr(video, "job", None)
    reason = video.error_message or ""
    is_read = job is not None and (job.plan is not None or reason.startswith(GIVEN_UP) or LARGER_DISK in reason)
    if not is_read or FAULT_OF_FILE in reason:
        slug = (video.version_of or video).slug
        return f"{details}. Its file is at fault: replace it with another copy (manage.py replace {slug} FILE)."
    return f"{details}, and retry it with manage.py jobs retry {video.pk}."


def titles(found: list[str]) -> str:
    """Return the first titles, for a sentence."""
    more = f" and {len(found) - MAX_TITLES} more" if len(found) > MAX_TITLES else ""
    return ", ".join(f"«{title}»" for title in found[:MAX_TITLES]) + more


def _stalled_titles() -> list[str]:
    """Return the titles of unfinished videos that make no progress. Empty while any chunk is being made."""
    now = timezone.now()
    if TranscodingChunk.objects.filter(status=ChunkStatus.RUNNING, lease_expires_at__gt=now).exists():
        return []
    unfinished = Video.objects.not_archived().filter(status__in=[Video.Status.PENDING, Video.Status.PROCESSING])
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
    return f"The progress of {counted(corrected, 'row')} was corrected."
