"""The parts of a long recording that is to be transcribed, each of which is a chunk that any worker may claim."""

from django.db import transaction

from transcoding.engine.plan.plan import Plan
from transcoding.engine.speech import parts
from transcoding.models import ChunkKind, ChunkStatus, SpeechPart, TranscodingChunk, TranscodingJob
from transcoding.queue import eligibility
from transcoding.queue.wakeups import notify_workers
from workers.models import Worker


def open_for(job: TranscodingJob, *, goes_on: bool) -> int:
    """Create the parts of a job's recording, and return their number; 0 for a short recording, which has none.

    goes_on: what is said in parts that are complete is kept. Call it with the job locked.
    """
    chunks = TranscodingChunk.objects.filter(job=job, kind=ChunkKind.SPEECH)
    duration = float(Plan.from_json(job.plan or {}).timeline.duration)
    count = _go_on(job, duration) if goes_on else 0
    if not count:
        chunks.delete()
        planned = parts.planned(duration, _workers())
        count = _create(job, planned) if len(planned) > 1 else 0
    waiting = chunks.filter(status=ChunkStatus.PENDING).count()
    transaction.on_commit(lambda: _wake(waiting))
    return count


def _workers() -> int:
    return Worker.objects.available().filter(eligibility.takes(ChunkKind.SPEECH)).count()


def _go_on(job: TranscodingJob, duration: float) -> int:
    """Return the parts that a transcription which failed has left to the queue; 0 where it has none to keep."""
    rows = SpeechPart.objects.of_job(job.pk)
    last = rows.last()
    if last is None or abs(last.end - duration) > 1 or not rows.filter(said__isnull=False).exists():
        return 0
    undone = rows.filter(said__isnull=True)
    if not undone.exists():
        undone = rows.filter(pk=last.pk)  # its worker publishes the captions
    undone.update(percent=0)
    TranscodingChunk.objects.filter(pk__in=list(undone.values_list("pk", flat=True))).reset()
    return rows.count()


def _create(job: TranscodingJob, planned: list[tuple[float, float]]) -> int:
    facts = {"job": job, "kind": ChunkKind.SPEECH, "place": job.place}
    chunks = TranscodingChunk.objects.bulk_create(
        TranscodingChunk(**facts, index=number, first_segment=number, last_segment=number)
        for number in range(len(planned))
    )
    SpeechPart.objects.bulk_create(
        SpeechPart(chunk=chunk, begin=begin, end=end) for chunk, (begin, end) in zip(chunks, planned, strict=True)
    )
    return len(chunks)


def _wake(number: int) -> None:
    for _ in range(number):
        notify_workers(ChunkKind.SPEECH)
