"""What operators want to know of workers: what they have at hand, how fast they are, how often they fail.

`look_at` reads it in a fixed number of queries, however many workers there are.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.timesince import timesince

from transcoding.models import Attempt, ChunkKind, ChunkStatus, Outcome, TranscodingChunk
from transcoding.operations.insight import name_of
from transcoding.operations.snapshot import MEASURED
from vlog.disk import readable
from workers.models import SET_ASIDE, Worker

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TOLD = ("cores", "memory", "encoders", "whisper", "ffmpeg", "agent", "host", "system", "python")


@dataclass(frozen=True)
class Hold:
    """A piece of work that a worker has."""

    video: int
    title: str
    piece: str


@dataclass(frozen=True)
class Facts:
    """state: active, offline, disabled, drained or set aside; why: what to say beside one of the last two.

    hour, day: seconds of video made in a second of its work, of what was begun in that time; None: nothing was.
    failed: attempts that it failed within a day.
    """

    state: str
    why: str
    at_hand: tuple[Hold, ...] = ()
    hour: float | None = None
    day: float | None = None
    failed: int = 0


def look_at(workers: Sequence[Worker]) -> list[Facts]:
    """The facts of each of these workers."""
    held, figures = _held(workers), _figures(workers)
    return [
        Facts(*state_of(worker), held.get(worker.worker_id, ()), **figures.get(worker.worker_id, {}))
        for worker in workers
    ]


def state_of(worker: Worker) -> tuple[str, str]:
    """What to call the state of a worker, and what to say beside it: who drained it, or why it was set aside."""
    reason = worker.held_back or ""
    if worker.status == Worker.Status.DISABLED or not reason:
        return worker.status, reason
    if reason.startswith(SET_ASIDE):
        return "set aside", reason.removeprefix(SET_ASIDE).strip()
    return "drained", reason.removeprefix("drained").strip()


def capability(worker: Worker, name: str) -> str:
    """What it told of itself, as text; empty where it told nothing."""
    told = {**(worker.capabilities or {}), **(worker.metadata or {})}.get(name, "")
    if name == "memory" and isinstance(told, int):
        return readable(told)
    return ", ".join(map(str, told)) if isinstance(told, list) else str(told)


def machine(worker: Worker) -> str:
    """What it is, in short: `16 cores, libx264, h264_nvenc`; empty where it told nothing."""
    cores = capability(worker, "cores")
    return ", ".join(filter(None, [cores and f"{cores} cores", capability(worker, "encoders")]))


def _held(workers: Sequence[Worker]) -> dict[Any, tuple[Hold, ...]]:
    rows = TranscodingChunk.objects.filter(worker__in=workers, status=ChunkStatus.RUNNING).order_by("pk")
    columns = ("job__video", "job__video__title", "kind", "first_segment", "last_segment")
    held: dict[Any, tuple[Hold, ...]] = defaultdict(tuple)
    for worker, video, title, *piece in rows.values_list("worker_id", *columns):
        held[worker] += (Hold(video, title, name_of(*piece)),)
    return held


def _figures(workers: Sequence[Worker]) -> dict[Any, dict[str, Any]]:
    now = timezone.now()
    measured = Q(kind=ChunkKind.VIDEO, outcome__in=MEASURED, seconds__gt=0)
    took = Coalesce("ended_at", now) - F("started_at")
    lately = measured & Q(started_at__gte=now - HOUR)
    rows = (
        Attempt.objects.filter(worker__in=workers, started_at__gte=now - DAY)
        .values("worker_id")
        .annotate(
            made_hour=Sum("seconds", filter=lately),
            took_hour=Sum(took, filter=lately),
            made_day=Sum("seconds", filter=measured),
            took_day=Sum(took, filter=measured),
            failed=Count("pk", filter=Q(outcome=Outcome.FAILED)),
        )
    )
    return {
        row["worker_id"]: {
            "hour": _speed(row["made_hour"], row["took_hour"]),
            "day": _speed(row["made_day"], row["took_day"]),
            "failed": row["failed"],
        }
        for row in rows
    }


def _speed(made: float | None, took: timedelta | None) -> float | None:
    return made / took.total_seconds() if made and took else None


def ago(moment: datetime | None) -> str:
    """A moment that has gone, as people say it: `12 s ago`, `never`."""
    if moment is None:
        return "never"
    seconds = max(0.0, (timezone.now() - moment).total_seconds())
    return f"{seconds:.0f} s ago" if seconds < 60 else f"{timesince(moment, depth=1)} ago"
