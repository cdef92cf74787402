"""The queue of what is made of a video after its publication; a failure there does not fail the video."""

from transcoding.engine.contract import Assignment, LeaseLost
from transcoding.models import TranscodingJob
from transcoding.queue import eligibility
from transcoding.queue.local import LocalQueue
from videos.models import Video
from videos.storage import placement
from workers.models import Worker


class PostPublishQueue(LocalQueue):
    """Chunks of finished jobs."""

    def __init__(self, worker: Worker, only: TranscodingJob | None = None) -> None:
        super().__init__(worker, finished=lambda job: None, only=only)

    def keys(self, assignment: Assignment) -> tuple[str, ...]:
        """Return nothing: no segments are delivered."""
        return ()

    def _finish(self, assignment: Assignment) -> Video:
        """Complete the chunk and return the video, locked and with its files in their place.

        Raises LeaseLost where the video is archived.
        """
        job = self._lock_job(assignment)
        if not self._mine(assignment).complete():
            raise LeaseLost
        eligibility.suspend_failing(assignment.chunk)
        video = placement.locked(job.video_id)
        if video is None:
            raise LeaseLost
        return video
