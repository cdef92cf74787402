"""The queue of what is made of a video after its publication: nobody waits for it, and it fails no video."""

from typing import Any

from django.utils import timezone

from transcoding.engine.contract import Assignment, LeaseLost
from transcoding.models import Attempt, ChunkStatus, Outcome, TranscodingJob
from transcoding.queue import eligibility
from transcoding.queue.local import LocalQueue
from videos.models import Video
from workers.models import Worker


class PostPublishQueue(LocalQueue):
    """Pieces of jobs that are over."""

    def __init__(self, worker: Worker, only: TranscodingJob | None = None) -> None:
        super().__init__(worker, finished=lambda job: None, only=only)

    def renditions(self, assignment: Assignment) -> tuple[str, ...]:
        """Return nothing: no segments are delivered of it."""
        return ()

    def _finish(self, assignment: Assignment) -> Video:
        """The video, locked, with its chunk completed; raises LeaseLost where it is in the archive."""
        job = self._lock_job(assignment)
        done: dict[str, Any] = {"completed_at": timezone.now(), "lease_expires_at": None, "error": None}
        self._guarded(assignment, status=ChunkStatus.COMPLETED, **done)
        Attempt.objects.filter(chunk=assignment.chunk).end(Outcome.COMPLETED)
        eligibility.set_aside_failing(assignment.chunk)
        video = Video.objects.alive().select_for_update().filter(pk=job.video_id).first()
        if video is None:
            raise LeaseLost
        return video
