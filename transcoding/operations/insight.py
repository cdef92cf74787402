"""What an operator wants to know of a job: how fast it goes, how long it takes yet, and why it waits.

`inspect_jobs` reads a `QueueSnapshot` in a fixed number of queries; everything else judges it and is pure.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from django.conf import settings
from django.db.models import BooleanField, Count, ExpressionWrapper, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from transcoding.engine.codecs.h264 import SOFTWARE
from transcoding.engine.timeline import Timeline
from transcoding.engine.work import REPORT_SECONDS
from transcoding.models import Attempt, ChunkKind, ChunkStatus, Outcome, PipelineStep, TranscodingChunk, TranscodingJob
from transcoding.queue import disk_quota, eligibility
from videos.models import Video
from vlog import disk, health
from workers.models import SILENT_SECONDS, Worker

MISSED_REPORTS = 12  # after so many a worker counts as silent
RECENT = 100  # attempts that tell how fast the workers are
TOLD_TITLES = 3
MEASURED = (Outcome.COMPLETED, Outcome.RUNNING)  # one that was lost has waited, too


@dataclass(frozen=True)
class PendingChunk:
    """An open piece of any job. left: seconds of video to make; heard: seconds since its worker reported.

    encoder: which one its pictures need.
    """

    job: int
    title: str
    kind: str
    first: int
    last: int
    left: float = 0.0
    worker: str = ""
    heard: float | None = None
    encoder: str = SOFTWARE

    @property
    def running(self) -> bool:
        return self.heard is not None


@dataclass(frozen=True)
class WorkerState:
    """A worker. age: seconds since its last sign of life, None where it never gave one; held_back: why, if it is."""

    name: str
    status: str
    age: float | None
    encodes: bool = False
    steps: bool = False
    held_back: str = ""
    encoders: tuple[str, ...] = (SOFTWARE,)

    def does(self, kind: str) -> bool:
        return self.encodes if kind == ChunkKind.VIDEO else self.steps

    @property
    def live(self) -> bool:
        return self.age is not None and self.age <= SILENT_SECONDS

    @property
    def ready(self) -> bool:
        return self.live and self.status == Worker.Status.ACTIVE and not self.held_back


@dataclass(frozen=True)
class Throughput:
    """What the attempts of one job have shown: how often it was tried, and one worker's speed in times real time."""

    attempts: int
    speed: float | None


@dataclass(frozen=True)
class QueueSnapshot:
    """The queue (in the order of the claims), the workers, and what was measured; speed is that of all jobs."""

    queue: Sequence[PendingChunk] = ()
    workers: Sequence[WorkerState] = ()
    throughputs: dict[int, Throughput] = field(default_factory=dict)
    speed: float | None = None
    redis: bool = True
    lease: float = 60.0
    disk: str = ""  # why nothing is written at the moment
    available: int = 0  # bytes that may be promised

    def of(self, job: int) -> list[PendingChunk]:
        return [piece for piece in self.queue if piece.job == job]

    def speed_of(self, job: int) -> float | None:
        """What one worker makes of it in a second; for a job that was not measured, what it makes of others."""
        throughput = self.throughputs.get(job)
        return (throughput and throughput.speed) or self.speed


@dataclass(frozen=True)
class Insight:
    """speed: times real time, of all that work at it; remaining: seconds; both None where nothing was measured."""

    speed: float | None
    remaining: float | None
    attempts: int
    workers: tuple[str, ...]
    why: str


def inspect_jobs(jobs: Sequence[TranscodingJob]) -> list[Insight]:
    """An insight for each of these jobs, which come with their videos; as many queries for one as for a hundred."""
    snapshot = read_snapshot([job.pk for job in jobs])
    return [judge(job, snapshot) for job in jobs]


def judge(job: TranscodingJob, snapshot: QueueSnapshot) -> Insight:
    own = snapshot.of(job.pk)
    at_it = tuple(dict.fromkeys(piece.worker for piece in own if piece.running))
    throughput = snapshot.throughputs.get(job.pk, Throughput(0, None))
    return Insight(
        speed=throughput.speed and throughput.speed * max(1, len(at_it)),
        remaining=remaining(job.pk, snapshot) if job.video.deleted_at is None else None,
        attempts=throughput.attempts,
        workers=at_it,
        why=why(job, snapshot),
    )


# How long


def remaining(job: int, snapshot: QueueSnapshot) -> float | None:
    """Seconds until the last piece of video of a job is made: what comes before it, shared by the workers."""
    pieces = [piece for piece in snapshot.queue if piece.kind == ChunkKind.VIDEO]
    own = [place for place, piece in enumerate(pieces) if piece.job == job]
    workers = sum(worker.ready and worker.encodes for worker in snapshot.workers)
    if not own or not workers:
        return None
    before = pieces[: own[-1] + 1] + [piece for piece in pieces[own[-1] + 1 :] if piece.running]
    times = [(piece, _time_of(piece, snapshot)) for piece in before]
    known = [time for _, time in times if time is not None]
    if len(known) < len(times):
        return None
    return max(
        sum(known) / workers, *(time for piece, time in times if time and piece.job == job and piece.running), 0.0
    )


def _time_of(piece: PendingChunk, snapshot: QueueSnapshot) -> float | None:
    speed = snapshot.speed_of(piece.job)
    return piece.left / speed if speed else None


# Why


STEPS = {
    None: "It has arrived and waits to be analysed.",
    PipelineStep.PROBE: "The upload is being analysed.",
    PipelineStep.THUMBNAIL: "The poster is being made.",
    PipelineStep.TRANSCODE: "All pieces are made; the playlists are next.",
    PipelineStep.MASTER_PLAYLIST: "The playlists are being written.",
    PipelineStep.FINALIZE: "It is being checked and published.",
}
WORK = {
    ChunkKind.VIDEO: ("encoding worker", "encode"),
    ChunkKind.AUDIO: ("worker for sound and steps", "tasks"),
}
ARCHIVED = "It waits for its video's return from the archive: restore the video first."
NO_REDIS = "Redis does not answer, so no worker is told of work: start Redis, or mend VLOG_REDIS_URL."


def why(job: TranscodingJob, snapshot: QueueSnapshot) -> str:
    """What is being done, or what it waits for and what to do about that: one or two sentences."""
    if job.video.deleted_at is not None:
        return ARCHIVED
    if job.video.status == Video.Status.FAILED:
        return job.video.error_message or "It failed; no reason was recorded."
    return "It is ready." if job.video.status == Video.Status.READY else _unfinished(job, snapshot)


def _unfinished(job: TranscodingJob, snapshot: QueueSnapshot) -> str:
    own = snapshot.of(job.pk)
    running = [piece for piece in own if piece.running]
    if running:
        return _running(running, snapshot.lease)
    if snapshot.disk:
        return snapshot.disk
    step = PipelineStep(job.current_step) if job.current_step else None
    if step == PipelineStep.PROBE and not own and job.reserved_bytes is not None:
        return disk_quota.why_waiting(job.reserved_bytes, snapshot.available)
    if not snapshot.redis:
        return NO_REDIS
    pictures = [piece for piece in own if piece.kind == ChunkKind.VIDEO]
    kind = ChunkKind.VIDEO if pictures else ChunkKind.AUDIO
    nobody = _nobody(kind, snapshot.workers) or (pictures and _unable(pictures[0].encoder, snapshot.workers))
    return nobody or (_behind(job.pk, kind, snapshot) if own else STEPS[step])


def _running(pieces: Sequence[PendingChunk], lease: float) -> str:
    silent = [piece for piece in pieces if (piece.heard or 0) > MISSED_REPORTS * REPORT_SECONDS]
    if len(silent) < len(pieces):
        at_it = sorted((piece for piece in pieces if piece not in silent), key=lambda one: (one.worker, one.first))
        return "; ".join(f"{one.worker} makes {name_of(one.kind, one.first, one.last)}" for one in at_it) + "."
    worst = max(silent, key=lambda piece: piece.heard or 0)
    left = lease - (worst.heard or 0)
    when = f"in {left:.0f} s" if left > 0 else "in a moment"
    return (
        f"The worker {worst.worker} has not been heard of for {worst.heard:.0f} s; "
        f"its piece is given to another {when}."
    )


def _nobody(kind: ChunkKind, workers: Iterable[WorkerState]) -> str:
    """Why nobody would take such a piece; empty where somebody would."""
    what, option = WORK[kind]
    able = [worker for worker in workers if worker.does(kind)]
    if any(worker.ready for worker in able):
        return ""
    start = f"start one with manage.py up --only {option}"
    disabled = any(worker.live and worker.status == Worker.Status.DISABLED for worker in able)
    held = [f"{worker.name} is {worker.held_back}" for worker in able if worker.live and worker.held_back]
    if disabled or held:
        state = " or ".join(["disabled"] * disabled + ["held back"] * bool(held))
        why_held = f" ({'; '.join(held)})" if held else ""
        return f"Every {what} is {state}{why_held}: enable one under Workers in the admin, or {start}."
    return f"No {what} is running: {start}."


def _unable(encoder: str, workers: Iterable[WorkerState]) -> str:
    """Why those who would encode cannot; empty where somebody can."""
    if any(worker.ready and worker.encodes and encoder in worker.encoders for worker in workers):
        return ""
    return (
        f"Its pictures are made by {encoder}, which no encoding worker that takes work has: start or enable one that "
        "does, or cancel the video and have it encoded again, by what there is."
    )


def _behind(job: int, kind: ChunkKind, snapshot: QueueSnapshot) -> str:
    """How many pieces go first, and what the workers are at."""
    pieces = [piece for piece in snapshot.queue if piece.kind == kind]
    place = next(place for place, piece in enumerate(pieces) if piece.job == job)
    others = sum(piece.job != job and (piece.running or at < place) for at, piece in enumerate(pieces))
    count = f"Behind {_plural(others, 'piece')} of other videos" if others else "It is next"
    able = [worker for worker in snapshot.workers if worker.ready and worker.does(kind)]
    titles = list(dict.fromkeys(f"«{piece.title}»" for piece in pieces if piece.running))
    more = ", …" if len(titles) > TOLD_TITLES else ""
    busy = f"encoding {', '.join(titles[:TOLD_TITLES])}{more}" if titles else "free"
    return f"{count}; {_plural(len(able), 'worker')}, {busy}."


def name_of(kind: str, first: int, last: int) -> str:
    """A piece as people call it."""
    if kind != ChunkKind.VIDEO:
        return {"audio": "the sound", "transcription": "the captions"}.get(kind, f"the {kind}")
    return f"segment {first}" if first == last else f"segments {first}-{last}"


def speed(value: float | None) -> str:
    """Such as `2.5x`: how many seconds of video in a second; empty where nothing was measured."""
    return "" if value is None else f"{value:.1f}x"


def duration(seconds: float | None) -> str:
    """A time to wait, as exact as anybody needs: `40 s`, `5 min`, `2 h 10 min`; empty where it is not known."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _plural(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


# What is read


def read_snapshot(jobs: Sequence[int]) -> QueueSnapshot:
    """Six queries and a word with Redis, however many jobs there are."""
    now = timezone.now()
    recent = _recent()
    return QueueSnapshot(
        queue=_queue(now),
        workers=_worker_states(now, {worker for worker, *_ in recent}),
        throughputs=_throughputs(jobs, now),
        speed=_speed((seconds, ((ended or now) - began).total_seconds()) for _, seconds, began, ended in recent),
        redis=health.redis_answers(),
        lease=settings.LEASE_SECONDS,
        disk=disk.usage().warning,
        available=disk_quota.available(),
    )


def _queue(now: datetime) -> list[PendingChunk]:
    made = Attempt.objects.running().filter(chunk=OuterRef("pk")).values("seconds")[:1]
    rows = TranscodingChunk.objects.not_archived().encoding().open().in_order_of_work()
    columns = ("job_id", "kind", "first_segment", "last_segment", "status", "lease_expires_at", "worker__worker_name")
    found = list(rows.annotate(made=Subquery(made)).values_list("job__video__title", "made", *columns))
    plans = _plans({job for _, _, job, *_ in found})
    return [_piece(now, plans.get(job), title, made, job, *rest) for title, made, job, *rest in found]


def _piece(now: datetime, plan: "_Plan | None", title: str, made: float | None, job: int, *row: Any) -> PendingChunk:
    timeline, encoder = plan or (None, SOFTWARE)
    kind, first, last, status, expires, worker = row
    heard = None
    if status == ChunkStatus.RUNNING:
        heard = max(0.0, settings.LEASE_SECONDS - (expires - now).total_seconds()) if expires else 0.0
    whole = 0.0
    if timeline and kind == ChunkKind.VIDEO:
        whole = sum(float(timeline.seconds(index)) for index in range(first, last + 1))
    return PendingChunk(
        job, title, kind, first, last, max(0.0, whole - (made or 0)), worker or "a worker", heard, encoder
    )


_Plan = tuple[Timeline, str]  # what an insight needs of a plan: its timeline, and its encoder


def _plans(jobs: set[int]) -> dict[int, _Plan]:
    rows = TranscodingJob.objects.filter(pk__in=jobs, plan__isnull=False)
    found = rows.values_list("pk", "plan__timeline", "plan__encoder")
    return {
        job: (Timeline(Fraction(data["unit"]), tuple(data["starts"]), data["end"]), encoder or SOFTWARE)
        for job, data, encoder in found
        if data
    }


def _worker_states(now: datetime, encoded: set[str | None]) -> list[WorkerState]:
    """Whoever has encoded lately does so, whatever it is called; the steps are done by nodes alone."""
    is_node = Q(worker_type=Worker.Type.LOCAL)
    workers = Worker.objects.annotate(
        encodes=ExpressionWrapper(eligibility.takes(ChunkKind.VIDEO), BooleanField()),
        steps=ExpressionWrapper(is_node & eligibility.takes(ChunkKind.AUDIO), BooleanField()),
    )
    return [
        WorkerState(
            name=str(worker),
            status=worker.status,
            age=(now - worker.last_heartbeat).total_seconds() if worker.last_heartbeat else None,
            encodes=worker.encodes or worker.worker_id in encoded,
            steps=worker.steps,
            held_back=worker.held_back or "",
            encoders=tuple((worker.capabilities or {}).get("encoders") or [SOFTWARE]),
        )
        for worker in workers.order_by("worker_name")
    ]


def _recent() -> list[tuple[Any, float, datetime, datetime | None]]:
    """The latest attempts at pieces of video, whosever: worker, seconds made, beginning, end."""
    rows = Attempt.objects.filter(kind=ChunkKind.VIDEO, outcome__in=MEASURED).order_by("-started_at")
    return list(rows.values_list("worker_id", "seconds", "started_at", "ended_at")[:RECENT])


def _throughputs(jobs: Sequence[int], now: datetime) -> dict[int, Throughput]:
    measured = Q(kind=ChunkKind.VIDEO, outcome__in=MEASURED, seconds__gt=0)
    rows = Attempt.objects.filter(job__in=jobs).values("job").annotate(
        number=Count("pk"),
        made=Sum("seconds", filter=measured),
        took=Sum(Coalesce("ended_at", now) - F("started_at"), filter=measured),
    )  # fmt: skip
    return {row["job"]: Throughput(row["number"], _speed([(row["made"] or 0, _seconds(row["took"]))])) for row in rows}


def _seconds(took: timedelta | None) -> float:
    return took.total_seconds() if took else 0.0


def _speed(attempts: Iterable[tuple[float, float]]) -> float | None:
    """Of (seconds made, seconds taken); those that have made nothing yet tell nothing."""
    told = [(made, took) for made, took in attempts if made and took > 0]
    return sum(made for made, _ in told) / sum(took for _, took in told) if told else None
