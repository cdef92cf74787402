"""The two statements by which a found chunk becomes a worker's. They are SQL, because a fleet claims all the time."""

from functools import cache
from typing import Any

from django.db import connection
from django.utils import timezone

from transcoding.models.chunk import TranscodingChunk
from transcoding.models.job import TranscodingJob
from transcoding.models.states import POST_PUBLISH, ChunkStatus, Outcome, lease_end
from videos.models import Video
from vlog import queries
from workers.models import Worker, WorkerStatus

TAKE = """
WITH claimed AS (
    UPDATE transcoding_chunks SET attempt = attempt + 1, status = %(running)s, worker_id = %(worker)s,
        delivered = FALSE, started_at = %(now)s, lease_expires_at = %(end)s
    WHERE id = %(chunk)s RETURNING *
), left_open AS (
    UPDATE transcoding_attempts SET outcome = %(lost)s, ended_at = %(now)s
    WHERE chunk_id = %(chunk)s AND outcome = %(open)s
), opened AS (
    INSERT INTO transcoding_attempts
        (job_id, chunk_id, kind, tier, first_segment, last_segment, number, worker_id, worker_name, started_at)
    SELECT job_id, id, kind, tier, first_segment, last_segment, attempt, worker_id, %(name)s, started_at FROM claimed
)
SELECT {columns} FROM transcoding_jobs JOIN videos ON videos.id = transcoding_jobs.video_id
WHERE transcoding_jobs.id = %(job)s
"""
# The job before the worker, like every transaction that locks both.
BEGIN = """
WITH job AS ({job})
UPDATE workers SET current_job_id = job.id, last_heartbeat = %(now)s FROM job
WHERE workers.id = %(worker)s AND hold IS NULL AND status <> %(disabled)s
"""
JOB = """
UPDATE transcoding_jobs SET worker_id = %(name)s, claimed_at = %(now)s, claim_expires_at = %(end)s,
    last_checkpoint = %(now)s
WHERE id = %(job)s RETURNING id
"""
# After publication, the columns of the job still name the worker that made the video.
PUBLISHED_JOB = "SELECT id FROM transcoding_jobs WHERE id = %(job)s"


def take(worker: Worker, chunk: TranscodingChunk) -> None:
    """Give a found chunk to the worker, open its attempt, and load its job and video.

    Call it in the transaction that found the chunk.
    """
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
    """Record the beginning in the job and the worker; False where the worker was disabled or held meanwhile.

    Call it after the transaction: others lock a job before its chunks.
    """
    values: dict[str, Any] = {
        "job": chunk.job_id,
        "worker": worker.pk,
        "name": worker.worker_id,
        "disabled": WorkerStatus.DISABLED,
    }
    values |= {"now": chunk.started_at, "end": chunk.lease_expires_at}
    with connection.cursor() as cursor:
        cursor.execute(BEGIN.format(job=PUBLISHED_JOB if chunk.kind in POST_PUBLISH else JOB), values)
        return bool(cursor.rowcount)
