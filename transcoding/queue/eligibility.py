"""Which worker may take which piece: the rules of the fleet, as conditions of the one query that claims.

So they hold for Celery nodes and remote workers alike; docs/fleet.md tells them to operators.
"""

import logging
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, Subquery
from django.db.models.fields.json import KT
from django.db.models.lookups import In
from django.utils import timezone

from transcoding.engine.codecs.h264 import SOFTWARE
from transcoding.models import Attempt, ChunkKind, ChunkStatus, Outcome, TranscodingChunk, TranscodingJob
from workers.models import SET_ASIDE, Worker, WorkerQuerySet

log = logging.getLogger(__name__)

# The Celery queue of each kind; `manage.py up` calls a node after the one that it takes.
QUEUES = {
    ChunkKind.VIDEO: "encode",
    ChunkKind.AUDIO: "tasks",
    ChunkKind.STORYBOARD: "tasks",
    ChunkKind.TRANSCRIPTION: "transcribe",
}
NODES = r"^(encode|tasks|transcribe|import)@"
LEFT_TO_OTHERS = timedelta(minutes=5)  # others may be busy, or not ask for such pieces after all
IN_A_ROW = 3
LOOKED_BACK = timedelta(days=1)
TURN = 0x666C6565  # the number of the advisory lock that workers are set aside under


def suits(worker: Worker, kind: str) -> Q:
    """Of the open pieces of a kind, those that a worker could make; none while it is kept from work."""
    allowed = Exists(Worker.objects.allowed().filter(_equipped(kind), pk=worker.pk))
    if kind != ChunkKind.VIDEO:
        return Q(allowed)
    known = (worker.capabilities or {}).get("encoders") or [SOFTWARE]
    # A query of its own for each piece: a join makes PostgreSQL guess that few have the encoder, and sort them all.
    encoder = Subquery(TranscodingJob.objects.filter(pk=OuterRef("job")).values(encoder=KT("plan__encoder")))
    return Q(allowed) & Q(In(encoder, known))


def is_left_to_others(worker: Worker, piece: TranscodingChunk) -> bool:
    """Whether it failed on this worker lately, and another one is there that it has not failed on."""
    if not piece.failures:
        return False
    spent = Attempt.objects.spent().filter(chunk=piece, ended_at__gt=timezone.now() - LEFT_TO_OTHERS)
    failed_on = set(spent.values_list("worker_id", flat=True)) - {None}
    return worker.worker_id in failed_on and _others(worker, piece).exclude(worker_id__in=failed_on).exists()


def takes(kind: str) -> Q:
    """Those workers that ask for pieces of a kind; a node that somebody gave a name of his own may ask for any."""
    is_node = Q(worker_name__startswith=f"{QUEUES[ChunkKind(kind)]}@") | ~Q(worker_name__regex=NODES)
    return _equipped(kind) & (Q(worker_type=Worker.Type.REMOTE) | is_node)


def _equipped(kind: str) -> Q:
    """Those workers that have what such pieces need."""
    local = Q(worker_type=Worker.Type.LOCAL)
    if kind == ChunkKind.STORYBOARD:
        return local  # it is drawn from the package itself
    return local | Q(capabilities__has_key="whisper") if kind == ChunkKind.TRANSCRIPTION else Q()


def _others(worker: Worker, piece: TranscodingChunk) -> WorkerQuerySet:
    """Who else would take such a piece now."""
    others = Worker.objects.available().filter(takes(piece.kind)).exclude(pk=worker.pk)
    if piece.kind != ChunkKind.VIDEO:
        return others
    return others.filter(capabilities__encoders__contains=(piece.job.plan or {}).get("encoder"))


def set_aside_failing(chunk: int) -> None:
    """Hold back whoever failed a piece that was just completed, and the two before it, which others completed too.

    Never the last who is left. Call it in the transaction that completes the piece.
    """
    failures = Attempt.objects.filter(chunk=chunk, outcome=Outcome.FAILED, worker=OuterRef("worker_id"))
    for worker in Worker.objects.allowed().filter(Exists(failures)):
        failed = _failed_in_a_row(worker)
        if any(attempt.chunk_id == chunk for attempt in failed):
            _set_aside(worker, chunk, failed[0].error or "not recorded")


def _failed_in_a_row(worker: Worker) -> list[Attempt]:
    """Its last attempts, the newest first, where all of them failed on pieces that others completed; else none."""
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


def _set_aside(worker: Worker, chunk: int, error: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [TURN])  # two must not each count on the other
    if not _others(worker, TranscodingChunk.objects.select_related("job").get(pk=chunk)).exists():
        return
    reason = f"{SET_ASIDE} it failed three pieces in a row that others could do; the last error: {error}"
    if Worker.objects.allowed().filter(pk=worker.pk).update(held_back=reason):
        transaction.on_commit(lambda: log.warning("the worker %s is %s", worker, reason))
