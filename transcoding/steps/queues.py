"""The queue of each kind of work."""

from collections.abc import Callable, Collection

from transcoding.engine.contract import Assignment, LeaseLost
from transcoding.models import TRANSCRIBED, ChunkKind, TranscodingChunk, TranscodingJob
from transcoding.queue import wakeups
from transcoding.queue.local import LocalQueue
from transcoding.queue.validating import ValidatingQueue
from transcoding.steps import captions
from transcoding.steps.captions import TranscriptionQueue
from transcoding.steps.speech import SpeechQueue
from transcoding.steps.storyboards import StoryboardQueue
from transcoding.steps.texts import TextQueue
from workers.models import Worker


def queue_for(kind: str, worker: Worker, only: TranscodingJob | None = None) -> LocalQueue:
    """Return the queue that a worker claims chunks of a kind from; only: those of one job."""
    return _QUEUES[ChunkKind(kind)](worker, only)


def offered(kinds: Collection[str]) -> list[str]:
    """Return those of the kinds that this installation has work of, each once."""
    return [kind for kind in dict.fromkeys(kinds) if kind not in TRANSCRIBED or captions.is_enabled()]


def resume(worker: Worker, chunk: int, attempt: int) -> tuple[LocalQueue, Assignment]:
    """Return the queue of a chunk that a worker holds, and the assignment; raises LeaseLost."""
    kind = TranscodingChunk.objects.held_by(worker, chunk, attempt).values_list("kind", flat=True).first()
    if kind is None:
        raise LeaseLost
    queue = queue_for(kind, worker)
    return queue, queue.resume(chunk, attempt)


def _encoding(worker: Worker, only: TranscodingJob | None) -> LocalQueue:
    # What another machine delivers is checked before it is stored.
    is_remote = worker.worker_type == Worker.Type.REMOTE
    return (ValidatingQueue if is_remote else LocalQueue)(worker, wakeups.finish, only)


_QUEUES: dict[ChunkKind, Callable[[Worker, TranscodingJob | None], LocalQueue]] = {
    ChunkKind.VIDEO: _encoding,
    ChunkKind.AUDIO: _encoding,
    ChunkKind.STORYBOARD: StoryboardQueue,
    ChunkKind.CAPTIONS: TextQueue,
    ChunkKind.TRANSCRIPTION: TranscriptionQueue,
    ChunkKind.SPEECH: SpeechQueue,
}
