"""What was left lying by workers and messages that are gone."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Coalesce
from django.utils import timezone

from transcoding.models import UNFINISHED, Attempt, ChunkStatus, Outcome, PipelineStep, TranscodingChunk, TranscodingJob
from workers.models import Worker


def release_expired() -> None:
    """Put the chunks of silent workers back, or fail their videos where the attempts are spent."""
    expired = TranscodingChunk.objects.expired().select_related("job__video")
    # What is heard of a video in the archive goes back, too: nothing may seem to be heard that nobody hears.
    for chunk in (expired.not_archived() | expired.transcriptions()).distinct():
        chunk.lose_lease()


def release_all() -> None:
    """A backup knows who was at work when it was made, and nobody is any more: all that goes back, unspent."""
    for chunk in TranscodingChunk.objects.filter(status=ChunkStatus.RUNNING).select_related("job"):
        chunk.release()
    Attempt.objects.all().end(Outcome.RELEASED, "a backup was restored")
    Worker.objects.update(current_job=None)
    Worker.objects.filter(status=Worker.Status.ACTIVE).update(status=Worker.Status.OFFLINE)


def expire_leases_of(worker_id: str, seconds: int = 0) -> None:
    """Let nobody wait longer than so many seconds for a worker that is known to have gone."""
    end = timezone.now() + timedelta(seconds=seconds)
    held = TranscodingChunk.objects.filter(worker__worker_id=worker_id, status=ChunkStatus.RUNNING)
    held.filter(lease_expires_at__gt=end).update(lease_expires_at=end)


def revoke(worker: Worker, reason: str) -> list[TranscodingChunk]:
    """Put back, unspent, all that a worker has; with its next word it hears that its lease is lost."""
    held = TranscodingChunk.objects.filter(worker=worker, status=ChunkStatus.RUNNING)
    pieces = [piece for piece in held.select_related("job") if _revoke(piece, worker, reason)]
    Worker.objects.filter(pk=worker.pk).update(current_job=None)
    return pieces


def _revoke(piece: TranscodingChunk, worker: Worker, reason: str) -> bool:
    with transaction.atomic():
        piece.job.lock()
        held = TranscodingChunk.objects.held_by(worker, piece.pk, piece.attempt)
        chunk = held.select_for_update().first()
        if chunk is None:
            return False  # it is done, or somebody else's
        Attempt.objects.filter(chunk=chunk).end(Outcome.RELEASED, reason)
        chunk.release()
        return True


def stalled() -> list[TranscodingJob]:
    """Jobs that wait for a step and not for a chunk or room, and have not moved for as long as a lease."""
    since = timezone.now() - timedelta(seconds=settings.LEASE_SECONDS)
    open_chunks = TranscodingChunk.objects.encoding().open().filter(job=OuterRef("pk"))
    jobs = TranscodingJob.objects.filter(video__status__in=UNFINISHED, video__deleted_at=None)
    jobs = jobs.exclude(Exists(open_chunks), current_step=PipelineStep.TRANSCODE)
    jobs = jobs.exclude(pk__in=TranscodingJob.objects.waiting_for_space().values("pk"))
    moved = Coalesce("last_checkpoint", F("video__created_at"))
    return list(jobs.annotate(moved=moved).filter(moved__lt=since).select_related("video"))
