"""What operators see of workers: their state, their chunks, their speed and their failures.

`facts_of` reads it in a fixed number of queries, however many workers there are.
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
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from transcoding.models import Attempt, ChunkKind, ChunkStatus, Outcome, TranscodingChunk
from transcoding.operations.insight import name_of
from transcoding.operations.snapshot import MEASURED
from vlog.disk import readable
from vlog.sentences import plural
from workers.models import Worker
from workers.releases import other_release

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# The states of a worker, and the names of what it reports, for the catalogues of translations.
STATES = (
    *(gettext_noop("active"), gettext_noop("offline"), gettext_noop("disabled"), gettext_noop("drained")),
    gettext_noop("suspended"),
)
CAPABILITIES = (
    *(gettext_noop("cores"), gettext_noop("memory"), gettext_noop("encoders"), "whisper", "ffmpeg"),
    *(gettext_noop("release"), gettext_noop("agent"), "plan_formats"),
    *(gettext_noop("host"), gettext_noop("system"), "python"),
)
PLAN_FORMATS = gettext_noop("plan formats")


@dataclass(frozen=True)
class HeldChunk:
    """A chunk that a worker is making: its video's id and title, and its name, such as `segments 3-6`."""

    video: int
    title: str
    name: str


@dataclass(frozen=True)
class Facts:
    """The facts of one worker.

    state: active, offline, disabled, drained or suspended; reason: of the last two.
    speed_hour, speed_day: seconds of video made per second of work, of the attempts begun in that time; None if there
    were none.
    failed: failed attempts within a day.
    other_release: the worker's release if it is not that of the site, else empty.
    """

    state: str
    reason: str
    chunks: tuple[HeldChunk, ...] = ()
    speed_hour: float | None = None
    speed_day: float | None = None
    failed: int = 0
    other_release: str = ""


def facts_of(workers: Sequence[Worker]) -> list[Facts]:
    """Return the facts of each of these workers."""
    held, figures = _held_chunks(workers), _figures(workers)
    return [
        Facts(
            *state_of(worker),
            held.get(worker.worker_id, ()),
            **figures.get(worker.worker_id, {}),
            other_release=other_release(worker),
        )
        for worker in workers
    ]


def state_of(worker: Worker) -> tuple[str, str]:
    """Return the state of a worker, and the reason: who drained it, or why it is suspended."""
    reason = worker.held_back or ""
    if worker.status == Worker.Status.DISABLED or worker.hold is None:
        return worker.status, reason
    return worker.hold, reason.removeprefix(worker.hold).lstrip(": ")


def capability(worker: Worker, name: str) -> str:
    """Return a value that the worker reported as text; empty if it reported none."""
    value = {**(worker.capabilities or {}), **(worker.metadata or {})}.get(name, "")
    if name == "memory" and isinstance(value, int):
        return readable(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def machine(worker: Worker) -> str:
    """Return a short description such as `16 cores, libx264, h264_nvenc`; empty if the worker reported nothing."""
    cores = capability(worker, "cores")
    number = cores and (plural("%(number)s core", "%(number)s cores", int(cores)) if cores.isdecimal() else cores)
    return ", ".join(filter(None, [number, capability(worker, "encoders")]))


def _held_chunks(workers: Sequence[Worker]) -> dict[Any, tuple[HeldChunk, ...]]:
    rows = TranscodingChunk.objects.filter(worker__in=workers, status=ChunkStatus.RUNNING).order_by("pk")
    columns = ("job__video", "job__video__title", "kind", "first_segment", "last_segment")
    held: dict[Any, tuple[HeldChunk, ...]] = defaultdict(tuple)
    for worker, video, title, *chunk in rows.values_list("worker_id", *columns):
        held[worker] += (HeldChunk(video, title, name_of(*chunk)),)
    return held


def _figures(workers: Sequence[Worker]) -> dict[Any, dict[str, Any]]:
    now = timezone.now()
    measured = Q(kind=ChunkKind.VIDEO, outcome__in=MEASURED, seconds__gt=0)
    elapsed = Coalesce("ended_at", now) - F("started_at")
    in_last_hour = measured & Q(started_at__gte=now - HOUR)
    rows = (
        Attempt.objects.filter(worker__in=workers, started_at__gte=now - DAY)
        .values("worker_id")
        .annotate(
            made_hour=Sum("seconds", filter=in_last_hour),
            elapsed_hour=Sum(elapsed, filter=in_last_hour),
            made_day=Sum("seconds", filter=measured),
            elapsed_day=Sum(elapsed, filter=measured),
            failed=Count("pk", filter=Q(outcome=Outcome.FAILED)),
        )
    )
    return {
        row["worker_id"]: {
            "speed_hour": _speed(row["made_hour"], row["elapsed_hour"]),
            "speed_day": _speed(row["made_day"], row["elapsed_day"]),
            "failed": row["failed"],
        }
        for row in rows
    }


def _speed(made: float | None, elapsed: timedelta | None) -> float | None:
    return made / elapsed.total_seconds() if made and elapsed else None


def ago(moment: datetime | None) -> str:
    """Return the time since a moment, such as `12 s ago`; `never` for None."""
    if moment is None:
        return _("never")
    seconds = max(0.0, (timezone.now() - moment).total_seconds())
    if seconds < 60:
        return _("%(seconds)s s ago") % {"seconds": round(seconds)}
    return _("%(time)s ago") % {"time": timesince(moment, depth=1)}
