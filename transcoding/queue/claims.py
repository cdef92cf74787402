"""How a piece becomes a worker's: found, taken, begun. Three statements, because a fleet asks this all the time."""

from functools import cache, lru_cache
from typing import Any, cast

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from transcoding.models import POST_PUBLISH, ChunkStatus, Outcome, TranscodingChunk, TranscodingJob, lease_end
from transcoding.queue import eligibility
from videos.models import Video
from vlog import queries
from workers.models import Worker, WorkerStatus

ANYBODY = -1  # stands for the worker in a query that is put together for all of them
TAKE = """
WITH taken AS (
    UPDATE transcoding_chunks SET attempt = attempt + 1, status = %(running)s, worker_id = %(worker)s,
        delivered = FALSE, started_at = %(now)s, lease_expires_at = %(end)s
    WHERE id = %(chunk)s RETURNING *
), left_open AS (
    UPDATE transcoding_attempts SET outcome = %(lost)s, ended_at = %(now)s
    WHERE chunk_id = %(chunk)s AND outcome = %(open)s
), opened AS (
    INSERT INTO transcoding_attempts
        (job_id, chunk_id, kind, tier, first_segment, last_segment, number, worker_id, worker_name, started_at)
    SELECT job_id, id, kind, tier, first_segment, last_segment, attempt, worker_id, %(name)s, started_at FROM taken
)
SELECT {columns} FROM transcoding_jobs JOIN videos ON videos.id = transcoding_jobs.video_id
WHERE transcoding_jobs.id = %(job)s
"""
# The job before the worker: so do all who lock both.
BEGIN = """
WITH noted AS ({noted})
UPDATE workers SET current_job_id = noted.id, last_heartbeat = %(now)s FROM noted
WHERE workers.id = %(worker)s AND held_back IS NULL AND status <> %(disabled)s
"""
NOTED = """
UPDATE transcoding_jobs SET worker_id = %(name)s, claimed_at = %(now)s, claim_expires_at = %(end)s,
    last_checkpoint = %(now)s
WHERE id = %(job)s RETURNING id
"""
# What is made of a published video: the columns of its job go on telling who made the video.
NOT_NOTED = "SELECT id FROM transcoding_jobs WHERE id = %(job)s"


def find(worker: Worker, kind: str, job: int | None, left: tuple[int, ...] = ()) -> TranscodingChunk | None:
    """Lock the piece of a kind that matters most of those that a worker may take; call it in a transaction.

    job: only of this one; left: those that it leaves to others.
    """
    encoders = tuple((worker.capabilities or {}).get("encoders") or ())
    sql, values = _find_query(kind, encoders, job, left)
    found = queries.fetch(sql, [worker.pk if value == ANYBODY else value for value in values], TranscodingChunk)
    return next((cast(TranscodingChunk, chunk) for (chunk,) in found), None)


@lru_cache(maxsize=64)
def _find_query(kind: str, encoders: tuple[str, ...], job: int | None, left: tuple[int, ...]) -> queries.Query:
    """Put together once for all workers with these encoders: that takes longer than to ask it."""
    anybody = Worker(pk=ANYBODY, capabilities={"encoders": list(encoders)})
    rows = TranscodingChunk.objects.claimable().filter(eligibility.suits(anybody, kind), of(job), kind=kind)
    ordered = rows.exclude(pk__in=left).in_order_of_work()
    return queries.compile_query(ordered.select_for_update(skip_locked=True, of=("self",))[:1])


def take(worker: Worker, chunk: TranscodingChunk) -> None:
    """Make a piece that was found the worker's, open its attempt, and look up its job and video; same transaction."""
    now = timezone.now()
    chunk.attempt, chunk.status, chunk.worker, chunk.delivered = chunk.attempt + 1, ChunkStatus.RUNNING, worker, False
    chunk.started_at, chunk.lease_expires_at = now, lease_end(now)
    values = {"chunk": chunk.pk, "job": chunk.job_id, "worker": worker.worker_id, "name": str(worker)[:100]}
    values |= {"now": now, "end": chunk.lease_expires_at}
    values |= {"running": ChunkStatus.RUNNING, "lost": Outcome.LOST, "open": Outcome.RUNNING}
    for job, video in queries.fetch(_take_query(), values, TranscodingJob, Video):
        chunk.job, job.video = job, video


@cache
def _take_query() -> str:
    return TAKE.format(columns=queries.columns(TranscodingJob, Video))


def begin(worker: Worker, chunk: TranscodingChunk) -> bool:
    """Note in the job and the worker that it begins; False where the worker was kept from work after it was found.

    Call it after the transaction: others lock a job before its pieces.
    """
    values: dict[str, Any] = {
        "job": chunk.job_id,
        "worker": worker.pk,
        "name": worker.worker_id,
        "disabled": WorkerStatus.DISABLED,
    }
    values |= {"now": chunk.started_at, "end": chunk.lease_expires_at}
    with connection.cursor() as cursor:
        cursor.execute(BEGIN.format(noted=NOT_NOTED if chunk.kind in POST_PUBLISH else NOTED), values)
        return bool(cursor.rowcount)


def of(job: int | None) -> Q:
    """The pieces of one job, or of all."""
    return Q() if job is None else Q(job=job)
