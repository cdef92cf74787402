"""The state of the queue and the workers at one moment, read in a fixed number of queries."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, Count, ExpressionWrapper, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from transcoding.engine.codecs.h264 import SOFTWARE
from transcoding.engine.timeline import Timeline
from transcoding.models import Attempt, ChunkKind, ChunkStatus, Outcome, TranscodingChunk, TranscodingJob
from transcoding.queue import disk_quota, eligibility
from vlog import disk, health
from workers.models import SILENT_SECONDS, Worker

RECENT = 100  # attempts from which the speed of the workers is measured
MEASURED = (Outcome.COMPLETED, Outcome.RUNNING)  # a lost attempt includes the time until its lease expired


@dataclass(frozen=True)
class PendingChunk:
    """A pending or running chunk of any job.

    remaining: seconds of video that are not made yet; since_report: seconds since its worker last reported, None unless
    it is running; encoder, plan_format: those that its plan requires; refused_by: the IDs of the workers that could not
    continue what another encoder began; doubted: the names of those that reported lately that no worker can make it.
    """

    job: int
    title: str
    kind: str
    first: int
    last: int
    remaining: float = 0.0
    worker: str = ""
    since_report: float | None = None
    encoder: str = SOFTWARE
    plan_format: int = eligibility.FIRST_FORMAT
    refused_by: tuple[str, ...] = ()
    doubted: tuple[str, ...] = ()

    @property
    def running(self) -> bool:
        return self.since_report is not None


@dataclass(frozen=True)
class WorkerState:
    """A worker.

    since_heartbeat: seconds, None if it never sent one; held_back: the reason if it is drained or suspended;
    encodes, steps: whether it takes video chunks, and audio chunks and pipeline steps.
    """

    name: str
    status: str
    since_heartbeat: float | None
    encodes: bool = False
    steps: bool = False
    held_back: str = ""
    encoders: tuple[str, ...] = (SOFTWARE,)
    plan_formats: tuple[int, ...] = (eligibility.FIRST_FORMAT,)
    worker_id: str = ""

    def takes(self, kind: str) -> bool:
        return self.encodes if kind == ChunkKind.VIDEO else self.steps

    @property
    def live(self) -> bool:
        return self.since_heartbeat is not None and self.since_heartbeat <= SILENT_SECONDS

    @property
    def available(self) -> bool:
        return self.live and self.status == Worker.Status.ACTIVE and not self.held_back


@dataclass(frozen=True)
class Throughput:
    """The number of attempts of a job, and the speed of one worker in multiples of real time."""

    attempts: int
    speed: float | None


@dataclass(frozen=True)
class QueueSnapshot:
    """The queue in the order of claims, the workers, and what was measured. speed: of all recent attempts."""

    queue: Sequence[PendingChunk] = ()
    workers: Sequence[WorkerState] = ()
    throughputs: dict[int, Throughput] = field(default_factory=dict)
    speed: float | None = None
    redis: bool = True
    lease: float = 60.0
    disk: str = ""  # the warning, if the disk is low
    available: int = 0  # bytes of the disk quota

    def of(self, job: int) -> list[PendingChunk]:
        return [chunk for chunk in self.queue if chunk.job == job]

    def speed_of(self, job: int) -> float | None:
        """Return the measured speed of one worker with this job or, without a measurement, with all jobs."""
        throughput = self.throughputs.get(job)
        return (throughput and throughput.speed) or self.speed


def read_snapshot(jobs: Sequence[int]) -> QueueSnapshot:
    """Return the snapshot, with the throughputs of these jobs. Takes six queries and a ping of Redis."""
    now = timezone.now()
    recent = _recent_attempts()
    return QueueSnapshot(
        queue=_queue(now),
        workers=_worker_states(now, {worker for worker, *_ in recent}),
        throughputs=_throughputs(jobs, now),
        speed=_speed((made, ((ended or now) - started).total_seconds()) for _, made, started, ended in recent),
        redis=health.redis_answers(),
        lease=settings.LEASE_SECONDS,
        disk=disk.usage().warning,
        available=disk_quota.available(),
    )


def _queue(now: datetime) -> list[PendingChunk]:
    made = Attempt.objects.running().filter(chunk=OuterRef("pk")).values("seconds")[:1]
    # By the unfinished videos, which are few, because no index has the pending and the running chunks together.
    chunks = TranscodingChunk.objects.filter(job__in=TranscodingJob.objects.unfinished()).encoding().open()
    chunks = chunks.in_order_of_work()
    columns = ("job_id", "kind", "first_segment", "last_segment", "status", "lease_expires_at", "worker__worker_name")
    refused_by = ArraySubquery(eligibility.refusals_of_chunk().values("worker_id"))
    doubted = ArraySubquery(Attempt.objects.unconfirmed().filter(chunk=OuterRef("pk")).values("worker_name"))
    chunks = chunks.annotate(made=Subquery(made), refused_by=refused_by, doubted=doubted)
    rows = list(chunks.values_list("job__video__title", "made", *columns, "refused_by", "doubted"))
    plans = _plans({job for _, _, job, *_ in rows})
    return [_pending_chunk(now, plans.get(job), title, made, job, *rest) for title, made, job, *rest in rows]


_PlanFacts = tuple[Timeline, str, int]  # the timeline, the encoder and the format of a plan


def _pending_chunk(
    now: datetime, plan: _PlanFacts | None, title: str, made: float | None, job: int, *row: Any
) -> PendingChunk:
    timeline, encoder, plan_format = plan or (None, SOFTWARE, eligibility.FIRST_FORMAT)
    kind, first, last, status, expires, worker, refused_by, doubted = row
    since_report = None
    if status == ChunkStatus.RUNNING:
        since_report = max(0.0, settings.LEASE_SECONDS - (expires - now).total_seconds()) if expires else 0.0
    length = 0.0
    if timeline and kind == ChunkKind.VIDEO:
        length = sum(float(timeline.seconds(index)) for index in range(first, last + 1))
    remaining = max(0.0, length - (made or 0))
    who = worker or "a worker"
    facts = (encoder, plan_format, tuple(filter(None, refused_by)), tuple(doubted))
    return PendingChunk(job, title, kind, first, last, remaining, who, since_report, *facts)


def _plans(jobs: set[int]) -> dict[int, _PlanFacts]:
    plans = TranscodingJob.objects.filter(pk__in=jobs, plan__isnull=False)
    rows = plans.values_list("pk", "plan__timeline", "plan__encoder", "plan_format")
    return {
        job: (Timeline(Fraction(data["unit"]), tuple(data["starts"]), data["end"]), encoder or SOFTWARE, plan_format)
        for job, data, encoder, plan_format in rows
        if data
    }


def _worker_states(now: datetime, encoded: set[str | None]) -> list[WorkerState]:
    """Return all workers. Those that have encoded recently count as encoding, whatever their name says.

    Pipeline steps are taken by nodes only.
    """
    is_node = Q(worker_type=Worker.Type.LOCAL)
    workers = Worker.objects.annotate(
        encodes=ExpressionWrapper(eligibility.takes(ChunkKind.VIDEO), BooleanField()),
        steps=ExpressionWrapper(is_node & eligibility.takes(ChunkKind.AUDIO), BooleanField()),
    )
    return [
        WorkerState(
            name=str(worker),
            status=worker.status,
            since_heartbeat=(now - worker.last_heartbeat).total_seconds() if worker.last_heartbeat else None,
            encodes=worker.encodes or worker.worker_id in encoded,
            steps=worker.steps,
            held_back=worker.held_back or "",
            encoders=eligibility.encoders_of(worker),
            plan_formats=eligibility.formats_of(worker),
            worker_id=worker.worker_id,
        )
        for worker in workers.order_by("worker_name")
    ]


def _recent_attempts() -> list[tuple[Any, float, datetime, datetime | None]]:
    """Return worker, seconds of video made, start and end of the latest attempts at video chunks."""
    attempts = Attempt.objects.filter(kind=ChunkKind.VIDEO, outcome__in=MEASURED).order_by("-started_at")
    return list(attempts.values_list("worker_id", "seconds", "started_at", "ended_at")[:RECENT])


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
    """Return the speed of attempts, given as (seconds made, seconds taken). Those that made nothing do not count."""
    measured = [(made, took) for made, took in attempts if made and took > 0]
    return sum(made for made, _ in measured) / sum(took for _, took in measured) if measured else None
