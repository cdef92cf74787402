"""Which worker may claim which chunk: the rules of the fleet, as conditions of the one query that claims.

They hold for Celery nodes and remote workers alike; docs/fleet.md describes them for operators.
"""

import logging
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.db.models import Case, Exists, OuterRef, Q, Subquery, Value, When
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce
from django.db.models.lookups import In
from django.utils import timezone

from transcoding.engine.codecs.h264 import SOFTWARE
from transcoding.engine.plan.plan import KNOWN_FORMATS
from transcoding.models import (
    Attempt,
    AttemptQuerySet,
    ChunkKind,
    ChunkStatus,
    Outcome,
    TranscodingChunk,
    TranscodingJob,
)
from workers.models import Worker, WorkerQuerySet

log = logging.getLogger(__name__)

# The Celery queue of each kind; `manage.py up` names a node after the queue that it consumes.
QUEUES = {
    ChunkKind.VIDEO: "encode",
    ChunkKind.AUDIO: "tasks",
    ChunkKind.STORYBOARD: "tasks",
    ChunkKind.CAPTIONS: "tasks",
    ChunkKind.TRANSCRIPTION: "transcribe",
    ChunkKind.SPEECH: "transcribe",
}
NODES = r"^(encode|tasks|transcribe|import)@"
ENCODED = (ChunkKind.VIDEO, ChunkKind.AUDIO)  # an encoder makes them
LEFT_TO_OTHERS = timedelta(minutes=5)  # the others may be busy, or not ask for such chunks after all
IN_A_ROW = 3
LOOKED_BACK = timedelta(days=1)
TURN = 0x666C6565  # the number of the advisory lock under which workers are suspended
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_FORMAT = 1  # of workers and plans of the releases before formats had numbers


def encoders_of(worker: Worker) -> tuple[str, ...]:
    """Return the encoders that a worker has tried with success."""
    return tuple((worker.capabilities or {}).get("encoders") or [SOFTWARE])


def formats_of(worker: Worker) -> tuple[int, ...]:
    """Return the plan formats that a worker knows."""
    return tuple((worker.capabilities or {}).get("plan_formats") or [FIRST_FORMAT])


def suits(worker: Worker, kind: str) -> Q:
    """Return the condition for the pending chunks of a kind that a worker can make; none while it may not claim."""
    allowed = Exists(Worker.objects.allowed().filter(_equipped(kind), pk=worker.pk))
    formats = set(formats_of(worker)) & set(KNOWN_FORMATS)  # this process reads the plan, too
    # Subqueries for each chunk: a join makes PostgreSQL guess that few jobs match, and sort all chunks.
    job = TranscodingJob.objects.filter(pk=OuterRef("job"))
    condition = Q(allowed) & Q(In(Subquery(job.values("plan_format")), sorted(formats)))
    if kind == ChunkKind.VIDEO:
        encoder = Subquery(job.values(encoder=KT("plan__encoder")))
        condition &= Q(In(encoder, encoders_of(worker)))
    if kind in ENCODED:
        refused = refusals_of_chunk().filter(worker=worker)
        # In a CASE, because PostgreSQL makes a join of a NOT EXISTS.
        condition &= Q(Case(When(Exists(refused), then=Value(False)), default=Value(True)))
    return condition


def _incompatible_since(restarted_at: object) -> AttemptQuerySet:
    """Return the attempts of workers that could not continue a tier as it has been since its restart."""
    return Attempt.objects.incompatible().filter(ended_at__gt=Coalesce(restarted_at, Value(NEVER)))


def refusals_of_chunk() -> AttemptQuerySet:
    """Return, as a subquery of chunks, the attempts of workers that could not continue the chunk's tier."""
    tier = {name: OuterRef(name) for name in ("job", "kind", "tier")}
    return _incompatible_since(OuterRef("restarted_at")).filter(**tier)


def is_left_to_others(worker: Worker, chunk: TranscodingChunk) -> bool:
    """Return whether the chunk failed on this worker lately, and a worker is available on which it has not failed.

    After a final failure it is left to others even if none is available: one worker alone does not fail a video.
    """
    if not chunk.failures:
        return False
    if Attempt.objects.unconfirmed().filter(chunk=chunk, worker=worker).exists():
        return True
    spent = Attempt.objects.spent().filter(chunk=chunk, ended_at__gt=timezone.now() - LEFT_TO_OTHERS)
    failed_on = set(spent.values_list("worker_id", flat=True)) - {None}
    return worker.worker_id in failed_on and _others(worker, chunk).exclude(worker_id__in=failed_on).exists()


def takes(kind: str) -> Q:
    """Return the condition for the workers that claim chunks of a kind.

    A node whose name an operator chose may claim any.
    """
    is_node = Q(worker_name__startswith=f"{QUEUES[ChunkKind(kind)]}@") | ~Q(worker_name__regex=NODES)
    return _equipped(kind) & (Q(worker_type=Worker.Type.REMOTE) | is_node)


def _equipped(kind: str) -> Q:
    """Return the condition for the workers that have what such chunks need."""
    local = Q(worker_type=Worker.Type.LOCAL)
    if kind in (ChunkKind.STORYBOARD, ChunkKind.CAPTIONS):
        return local  # both are written into the package itself
    if kind == ChunkKind.SPEECH:
        return local | Q(capabilities__has_key="whisper", capabilities__speech_parts=True)
    return local | Q(capabilities__has_key="whisper") if kind == ChunkKind.TRANSCRIPTION else Q()


def knows(plan_format: int) -> Q:
    """Return the condition for the workers that know a plan format."""
    said = Q(capabilities__plan_formats__contains=plan_format)
    return said if plan_format != FIRST_FORMAT else said | ~Q(capabilities__has_key="plan_formats")


def able(chunk: TranscodingChunk) -> WorkerQuerySet:
    """Return the available workers that would claim such a chunk, if no encoder had begun its renditions."""
    workers = Worker.objects.available().filter(takes(chunk.kind), knows(chunk.job.plan_format))
    if chunk.kind != ChunkKind.VIDEO:
        return workers
    return workers.filter(capabilities__encoders__contains=(chunk.job.plan or {}).get("encoder"))


def compatible(chunk: TranscodingChunk) -> WorkerQuerySet:
    """Return the available workers that can make a chunk: able ones whose encoder can continue its renditions."""
    refused = _incompatible_since(chunk.restarted_at).filter(job=chunk.job_id, kind=chunk.kind, tier=chunk.tier)
    return able(chunk).exclude(Exists(refused.filter(worker=OuterRef("worker_id"))))


def _others(worker: Worker, chunk: TranscodingChunk) -> WorkerQuerySet:
    return compatible(chunk).exclude(pk=worker.pk)


def suspend_failing(chunk: int) -> None:
    """Suspend the workers that failed a chunk that was just completed, and the two before it.

    Only where other workers completed all three, and never the last available worker. Call it in the transaction that
    completes the chunk.
    """
    failures = Attempt.objects.filter(chunk=chunk, outcome=Outcome.FAILED, worker=OuterRef("worker_id"))
    for worker in Worker.objects.allowed().filter(Exists(failures)):
        failed = _failed_in_a_row(worker)
        if any(attempt.chunk_id == chunk for attempt in failed):
            _suspend(worker, chunk, failed[0].error or "not recorded")


def _failed_in_a_row(worker: Worker) -> list[Attempt]:
    """Return the worker's last attempts, newest first, if all failed on chunks that others completed; else none."""
    ended = Attempt.objects.filter(worker=worker, outcome__in=[Outcome.COMPLETED, Outcome.FAILED])
    recent = ended.filter(started_at__gt=timezone.now() - LOOKED_BACK).select_related("chunk")
    last = list(recent.order_by("-started_at", "-pk")[:IN_A_ROW])
    done = {
        attempt.chunk_id
        for attempt in last
        if attempt.outcome == Outcome.FAILED
        and attempt.chunk is not None
        and attempt.chunk.status == ChunkStatus.COMPLETED
        and attempt.chunk.worker_id != worker.worker_id
    }
    return last if len(done) == IN_A_ROW else []


def _suspend(worker: Worker, chunk: int, error: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [TURN])  # two suspensions must not count on each other
    if not _others(worker, TranscodingChunk.objects.select_related("job").get(pk=chunk)).exists():
        return
    reason = f"it failed three chunks in a row that others could make; the last error: {error}"
    if Worker.objects.filter(pk=worker.pk).suspend(reason):
        transaction.on_commit(lambda: log.warning("the worker %s is suspended: %s", worker, reason))
