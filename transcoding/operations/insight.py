"""The progress of jobs for operators: the speed, the remaining time, and the reason why a job waits.

`inspect_jobs` reads a `QueueSnapshot`; all other functions judge it and are pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transcoding.engine.work import REPORT_SECONDS
from transcoding.models import UNFINISHED, ChunkKind, PipelineStep, TranscodingJob
from transcoding.operations.snapshot import PendingChunk, QueueSnapshot, Throughput, WorkerState, read_snapshot
from transcoding.queue import disk_quota
from videos.models import Video
from vlog.sentences import plural
from workers.models import Worker

MISSED_REPORTS = 12  # after so many a worker counts as silent
MAX_TITLES = 3  # in a sentence

STEPS = {
    None: gettext_lazy("The upload waits to be analysed."),
    PipelineStep.ARRIVAL: gettext_lazy(
        "The original is being sent to the object store by the machine that received it. If that does not end, see the "
        "log of the site there."
    ),
    PipelineStep.PROBE: gettext_lazy("The source is being analysed."),
    PipelineStep.THUMBNAIL: gettext_lazy("The poster is being made."),
    PipelineStep.TRANSCODE: gettext_lazy("All chunks are made; the playlists are next."),
    PipelineStep.MASTER_PLAYLIST: gettext_lazy("The playlists are being written."),
    PipelineStep.FINALIZE: gettext_lazy("The package is being checked and published."),
}
# Of each kind of work: that none runs which takes it, that none of those takes more, and the queue to start one for.
WORK = {
    ChunkKind.VIDEO: (
        gettext_lazy("No encoding worker is running: start one with %(command)s."),
        gettext_lazy(
            "Every encoding worker %(state)s: enable one under Workers in the admin, or start one with %(command)s."
        ),
        "encode",
    ),
    ChunkKind.AUDIO: (
        gettext_lazy("No worker for audio and pipeline steps is running: start one with %(command)s."),
        gettext_lazy(
            "Every worker for audio and pipeline steps %(state)s: enable one under Workers in the admin, or start one "
            "with %(command)s."
        ),
        "tasks",
    ),
}
READY = gettext_lazy("The video is ready.")
ARCHIVED = gettext_lazy("The video is in the archive: restore it to continue the job.")
UNKNOWN_FAILURE = gettext_lazy("The job failed, and no reason was recorded.")
NO_REDIS = gettext_lazy("Redis does not answer, so workers get no wake-ups: start Redis, or correct VLOG_REDIS_URL.")


@dataclass(frozen=True)
class Insight:
    """What operators and editors see of a job.

    speed: of all workers together, in multiples of real time; remaining: seconds. None if it was not measured.
    before: the number of other videos that the workers make first; None unless the job waits for nothing else.
    starts_in: seconds until a worker is free for it, as far as that is known.
    """

    speed: float | None
    remaining: float | None
    attempts: int
    workers: tuple[str, ...]
    why: str
    before: int | None = None
    starts_in: float | None = None


def inspect_jobs(jobs: Sequence[TranscodingJob]) -> list[Insight]:
    """Return an insight for each job. The jobs must have their videos; the number of queries is fixed."""
    snapshot = read_snapshot([job.pk for job in jobs])
    return [judge(job, snapshot) for job in jobs]


def judge(job: TranscodingJob, snapshot: QueueSnapshot) -> Insight:
    workers = tuple(dict.fromkeys(chunk.worker for chunk in snapshot.of(job.pk) if chunk.running))
    throughput = snapshot.throughputs.get(job.pk, Throughput(0, None))
    return Insight(
        speed=throughput.speed and throughput.speed * max(1, len(workers)),
        remaining=remaining(job.pk, snapshot) if job.video.deleted_at is None else None,
        attempts=throughput.attempts,
        workers=workers,
        why=why(job, snapshot),
        **_line(job, snapshot),
    )


def _line(job: TranscodingJob, snapshot: QueueSnapshot) -> dict[str, Any]:
    """Return the place of a job that only waits for its turn, as fields of its insight."""
    own = snapshot.of(job.pk)
    is_unfinished = job.video.status in UNFINISHED and job.video.deleted_at is None
    if not own or not is_unfinished or any(chunk.running for chunk in own) or _obstacle(job, own, snapshot):
        return {}
    kind = _kind_of(own)
    before = _before(job.pk, kind, snapshot)
    times = [_time_of(chunk, snapshot) for chunk in before]
    workers = sum(worker.available and worker.takes(kind) for worker in snapshot.workers)
    known = [time for time in times if time is not None]
    is_known = kind == ChunkKind.VIDEO and workers and len(known) == len(times)
    return {"before": len({chunk.job for chunk in before}), "starts_in": sum(known) / workers if is_known else None}


def remaining(job: int, snapshot: QueueSnapshot) -> float | None:
    """Return the seconds until the last video chunk of a job is made.

    That is the time of the chunks up to it and of all running ones, divided among the workers.
    """
    chunks = [chunk for chunk in snapshot.queue if chunk.kind == ChunkKind.VIDEO]
    own = [position for position, chunk in enumerate(chunks) if chunk.job == job]
    workers = sum(worker.available and worker.encodes for worker in snapshot.workers)
    if not own or not workers:
        return None
    end = own[-1] + 1
    before = chunks[:end] + [chunk for chunk in chunks[end:] if chunk.running]
    times = [(chunk, _time_of(chunk, snapshot)) for chunk in before]
    known = [time for _chunk, time in times if time is not None]
    if len(known) < len(times):
        return None
    own_running = (time for chunk, time in times if time and chunk.job == job and chunk.running)
    return max(sum(known) / workers, *own_running, 0.0)


def _time_of(chunk: PendingChunk, snapshot: QueueSnapshot) -> float | None:
    speed = snapshot.speed_of(chunk.job)
    return chunk.remaining / speed if speed else None


def why(job: TranscodingJob, snapshot: QueueSnapshot) -> str:
    """Return a sentence or two: what is being done, or what the job waits for and what to do about it."""
    if job.video.deleted_at is not None:
        return str(ARCHIVED)
    if job.video.status == Video.Status.FAILED:
        return job.video.error_message or str(UNKNOWN_FAILURE)
    return str(READY) if job.video.status == Video.Status.READY else _why_unfinished(job, snapshot)


def _why_unfinished(job: TranscodingJob, snapshot: QueueSnapshot) -> str:
    own = snapshot.of(job.pk)
    running = [chunk for chunk in own if chunk.running]
    if running:
        return _running(running, snapshot.lease)
    step = PipelineStep(job.current_step) if job.current_step else None
    return _obstacle(job, own, snapshot) or (_position(job.pk, _kind_of(own), snapshot) if own else str(STEPS[step]))


def _obstacle(job: TranscodingJob, own: Sequence[PendingChunk], snapshot: QueueSnapshot) -> str:
    """Return what a job waits for other than its turn, or nothing."""
    if snapshot.disk:
        return snapshot.disk
    step = PipelineStep(job.current_step) if job.current_step else None
    if step == PipelineStep.ARRIVAL:
        return str(STEPS[step])
    if step == PipelineStep.PROBE and not own and job.reserved_bytes is not None:
        return disk_quota.why_waiting(job.reserved_bytes, snapshot.available)
    if not snapshot.redis:
        return str(NO_REDIS)
    video = [chunk for chunk in own if chunk.kind == ChunkKind.VIDEO]
    kind = _kind_of(own)
    obstacle = _no_worker(kind, snapshot.workers) or (own and _outdated(kind, own[0].plan_format, snapshot.workers))
    obstacle = obstacle or (video and _no_encoder(video[0].encoder, snapshot.workers))
    obstacle = obstacle or (own and _all_refused((video or own)[0], snapshot.workers))
    return obstacle or (_all_doubted((video or own)[0], snapshot.workers) if own else "")


def _kind_of(own: Sequence[PendingChunk]) -> ChunkKind:
    """Return the kind of chunk that the open chunks of a job wait for."""
    return ChunkKind.VIDEO if any(chunk.kind == ChunkKind.VIDEO for chunk in own) else ChunkKind.AUDIO


def _running(chunks: Sequence[PendingChunk], lease: float) -> str:
    silent = [chunk for chunk in chunks if (chunk.since_report or 0) > MISSED_REPORTS * REPORT_SECONDS]
    if len(silent) < len(chunks):
        active = sorted((chunk for chunk in chunks if chunk not in silent), key=lambda one: (one.worker, one.first))
        work = ((one.worker, name_of(one.kind, one.first, one.last)) for one in active)
        return (
            "; ".join(_("%(worker)s is making %(chunk)s") % {"worker": name, "chunk": chunk} for name, chunk in work)
            + "."
        )
    worst = max(silent, key=lambda chunk: chunk.since_report or 0)
    seconds = lease - (worst.since_report or 0)
    when = _("in %(seconds)s s") % {"seconds": round(seconds)} if seconds > 0 else _("in a moment")
    return _("The worker %(worker)s has not reported for %(silent)s s; another worker can take its chunk %(when)s.") % {
        "worker": worst.worker,
        "silent": round(worst.since_report or 0),
        "when": when,
    }


def _no_worker(kind: ChunkKind, workers: Iterable[WorkerState]) -> str:
    """Return why no worker takes chunks of this kind, or nothing if one does."""
    none, none_free, queue = WORK[kind]
    candidates = [worker for worker in workers if worker.takes(kind)]
    if any(worker.available for worker in candidates):
        return ""
    start = {"command": f"manage.py up --only {queue}"}
    live = [worker for worker in candidates if worker.live]
    disabled = any(worker.status == Worker.Status.DISABLED for worker in live)
    is_held = _("%(worker)s is %(state)s")
    held = [is_held % {"worker": worker.name, "state": worker.held_back} for worker in live if worker.held_back]
    if disabled or held:
        idle = _("takes no new work (%(workers)s)") % {"workers": "; ".join(held)}
        state = _(" or ").join([_("is disabled")] * disabled + [idle] * bool(held))
        return none_free % {"state": state, **start}
    return none % start


def _outdated(kind: ChunkKind, plan_format: int, workers: Iterable[WorkerState]) -> str:
    """Return that no available worker knows a plan format, or nothing if one knows it."""
    if any(worker.available and worker.takes(kind) and plan_format in worker.plan_formats for worker in workers):
        return ""
    sentence = _("No worker can make this: it needs plan format %(number)s; upgrade the workers.")
    return sentence % {"number": plan_format}


def _no_encoder(encoder: str, workers: Iterable[WorkerState]) -> str:
    """Return that no available worker has an encoder, or nothing if one has it."""
    if any(worker.available and worker.encodes and encoder in worker.encoders for worker in workers):
        return ""
    return _(
        "The plan requires the encoder %(encoder)s, which no available worker has: start or enable a worker with it, "
        "or cancel the job and re-encode the video."
    ) % {"encoder": encoder}


def _all_refused(chunk: PendingChunk, workers: Iterable[WorkerState]) -> str:
    """Return that no available worker can continue what another encoder began, or nothing if one can."""
    candidates = [worker for worker in workers if worker.available and worker.takes(chunk.kind)]
    if not chunk.refused_by or any(worker.worker_id not in chunk.refused_by for worker in candidates):
        return ""
    return _(
        "Another encoder began this video, and no available worker can continue it: start the worker that began it, or "
        "cancel the job and re-encode the video."
    )


def _all_doubted(chunk: PendingChunk, workers: Iterable[WorkerState]) -> str:
    """Return that a second worker is awaited, or nothing if none is or one is available."""
    candidates = [worker for worker in workers if worker.available and worker.takes(chunk.kind)]
    if not chunk.doubted or any(worker.name not in chunk.doubted for worker in candidates):
        return ""
    return _(
        "The worker %(worker)s reports that this cannot be made, and a second worker has to confirm that: start one. "
        "Without one, the same worker tries again after ten minutes."
    ) % {"worker": chunk.doubted[0]}


def _position(job: int, kind: ChunkKind, snapshot: QueueSnapshot) -> str:
    """Return how many chunks come before those of a job, and what the workers are encoding."""
    chunks = [chunk for chunk in snapshot.queue if chunk.kind == kind]
    before = len(_before(job, kind, snapshot))
    place = _("Next in the queue")
    if before:
        place = plural("Behind %(number)s chunk of other videos", "Behind %(number)s chunks of other videos", before)
    workers = [worker for worker in snapshot.workers if worker.available and worker.takes(kind)]
    titles = list(dict.fromkeys(f"«{chunk.title}»" for chunk in chunks if chunk.running))
    more = ", …" if len(titles) > MAX_TITLES else ""
    activity = _("idle")
    if titles:
        activity = _("encoding %(titles)s") % {"titles": ", ".join(titles[:MAX_TITLES]) + more}
    number = plural("%(number)s worker", "%(number)s workers", len(workers))
    return f"{place}; {number}, {activity}."


def _before(job: int, kind: ChunkKind, snapshot: QueueSnapshot) -> list[PendingChunk]:
    """Return the chunks of other jobs that are running or come before the first one of a job."""
    chunks = [chunk for chunk in snapshot.queue if chunk.kind == kind]
    own = next(position for position, chunk in enumerate(chunks) if chunk.job == job)
    return [chunk for place, chunk in enumerate(chunks) if chunk.job != job and (chunk.running or place < own)]


def name_of(kind: str, first: int, last: int) -> str:
    """Return the name of a chunk in a sentence, such as `segments 3-6`."""
    if kind != ChunkKind.VIDEO:
        names = {
            "audio": _("the audio"),
            "storyboard": _("the storyboard"),
            "captions": _("the subtitles of the file"),
            "transcription": _("the captions"),
            "speech": _("a part of the captions"),
        }
        return names.get(kind, f"the {kind}")
    if first == last:
        return _("segment %(number)s") % {"number": first}
    return _("segments %(first)s-%(last)s") % {"first": first, "last": last}


def speed(value: float | None) -> str:
    """Return a speed such as `2.5x`, in multiples of real time. Empty if it was not measured."""
    return "" if value is None else f"{number_format(value, 1)}x"


def duration(seconds: float | None) -> str:
    """Return a rounded duration: `40 s`, `5 min`, `2 h 10 min`. Empty if it is unknown."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
