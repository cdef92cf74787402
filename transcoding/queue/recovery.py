"""Recovery from workers and messages that were lost."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Coalesce
from django.utils import timezone

from transcoding.models import UNFINISHED, Attempt, Outcome, PipelineStep, TranscodingChunk, TranscodingJob
from workers.models import Worker


def release_expired() -> None:
    """Return chunks with expired leases to the queue, or fail their videos where the attempts are spent."""
    expired = TranscodingChunk.objects.expired().select_related("job__video")
    # The transcription of an archived video, too: it must not show as running.
    for chunk in (expired.not_archived() | expired.transcriptions()).distinct():
        chunk.expire()


def release_all() -> None:
    """Release every chunk after a backup was restored: the workers of the time when it was made are gone."""
    reason = "a backup was restored"
    with transaction.atomic():
        TranscodingChunk.objects.running().release(Outcome.RELEASED, reason)
        Attempt.objects.all().end(Outcome.RELEASED, reason)  # also those whose chunk has gone
        Worker.objects.update(current_job=None)
        Worker.objects.all().mark_offline()


def expire_leases_of(worker_id: str, seconds: int = 0) -> None:
    """Shorten the leases of a worker that is known to have stopped, to so many seconds from now."""
    end = timezone.now() + timedelta(seconds=seconds)
    held = TranscodingChunk.objects.running().filter(worker__worker_id=worker_id)
    held.filter(lease_expires_at__gt=end).update(lease_expires_at=end)


def revoke(worker: Worker, reason: str) -> list[TranscodingChunk]:
    """Take all chunks from a worker without spending attempts; its next call finds the lease lost."""
    held = TranscodingChunk.objects.running().filter(worker=worker).select_related("job")
    chunks = [chunk for chunk in held if _revoke(chunk, worker, reason)]
    Worker.objects.filter(pk=worker.pk).update(current_job=None)
    return chunks


def _revoke(chunk: TranscodingChunk, worker: Worker, reason: str) -> bool:
    """Return False where the worker has completed or lost the chunk meanwhile."""
    with transaction.atomic():
        chunk.job.lock()
        held = TranscodingChunk.objects.held_by(worker, chunk.pk, chunk.attempt)
        return bool(held.release(Outcome.RELEASED, reason))


def stalled() -> list[TranscodingJob]:
    """Return the jobs that wait for a step and have not moved for a lease's time.

    Not those that wait for a chunk, for disk space, or for their original.
    """
    since = timezone.now() - timedelta(seconds=settings.LEASE_SECONDS)
    open_chunks = TranscodingChunk.objects.encoding().open().filter(job=OuterRef("pk"))
    jobs = TranscodingJob.objects.filter(video__status__in=UNFINISHED, video__deleted_at=None)
    jobs = jobs.exclude(Exists(open_chunks), current_step=PipelineStep.TRANSCODE)
    jobs = jobs.exclude(pk__in=TranscodingJob.objects.waiting_for_space().values("pk"))
    jobs = jobs.exclude(current_step=PipelineStep.ARRIVAL)
    moved = Coalesce("last_checkpoint", F("video__created_at"))
    return list(jobs.annotate(moved=moved).filter(moved__lt=since).select_related("video"))
