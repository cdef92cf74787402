"""The queue for a remote worker, whose segments are checked before they are stored."""

from transcoding.engine.contract import INIT, Assignment, Yield
from transcoding.engine.verify.deliveries import InvalidDelivery, check_init, check_segment
from transcoding.queue.local import LocalQueue
from videos.storage import placement


class ValidatingQueue(LocalQueue):
    """Serves HTTP requests, each of which resumes the chunk that it names."""

    def deliver(self, assignment: Assignment, rendition: str, index: int, data: bytes) -> None:
        """Store a segment; raises InvalidDelivery where it is not what the plan says."""
        if index > assignment.last:
            raise Yield  # the chunk was split since the claim
        if index == INIT:
            check_init(assignment.plan, rendition, data)
        else:
            check_segment(assignment.plan, rendition, index, self._init(assignment, rendition), data)
        super().deliver(assignment, rendition, index, data)

    def _init(self, assignment: Assignment, rendition: str) -> bytes:
        try:
            return (self._package(assignment) / rendition / "init.mp4").read_bytes()
        except FileNotFoundError as error:
            if placement.follow(self._videos[assignment.chunk]):
                return self._init(assignment, rendition)
            raise InvalidDelivery(f"{rendition}/init.mp4 must be delivered before its segments.") from error

    def complete(self, assignment: Assignment) -> None:
        """Complete the chunk; raises InvalidDelivery where a segment is missing."""
        chunk = self._held(assignment)
        missing = self._first_missing(chunk, assignment.plan)
        if missing <= chunk.last_segment and placement.follow(self._videos[chunk.pk]):
            missing = self._first_missing(chunk, assignment.plan)
        if missing <= chunk.last_segment:
            raise InvalidDelivery(f"Segment {missing} is missing: deliver it in {', '.join(assignment.keys)} first.")
        super().complete(assignment)
