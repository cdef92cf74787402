"""The queue of the parts of long recordings, which several workers may share."""

import random
from collections.abc import Collection
from dataclasses import replace

from django.db import transaction

from transcoding.engine.contract import Assignment, LeaseLost
from transcoding.engine.speech import parts
from transcoding.engine.speech.cues import recognized_of
from transcoding.engine.speech.transcribe import Order, Recognition, Transcript, transcript_of
from transcoding.models import ChunkKind, SpeechPart, TranscodingJob, lease_end
from transcoding.queue import eligibility
from transcoding.queue.local import NotSupported
from transcoding.steps.captions import TranscriptionQueue
from videos.models import Transcription
from workers.models import Worker


def queues_of(worker: Worker) -> list[TranscriptionQueue]:
    """Return the queues that a worker transcribes from, by chance: neither waits for the other to be empty."""
    queues = [TranscriptionQueue(worker), SpeechQueue(worker)]
    random.shuffle(queues)
    return queues


class SpeechQueue(TranscriptionQueue):
    """Parts are transcribed in any order. The worker of the last one joins them, and publishes the captions.

    What is said in a part is stored before the part is complete: where the worker of the last one is killed while it
    publishes, the next one that claims the part does the same again, without a transcription.
    """

    def claim(self, kinds: Collection[str] = (ChunkKind.SPEECH,)) -> Assignment | None:
        while (chunk := self._claim_row(ChunkKind.SPEECH)) is not None:
            assignment = self._take_up(chunk)
            with transaction.atomic():
                if not self._mine(assignment).select_for_update().exists():
                    continue  # it was cancelled meanwhile
                chunk.transcription().go_on()
            if SpeechPart.objects.filter(pk=chunk.pk, said__isnull=True).exists():
                return assignment
            self._complete(assignment)
        return None

    def order_of(self, assignment: Assignment) -> Order:
        part = self._part(assignment)
        begin, end = parts.audible(part.begin, part.end, float(assignment.plan.timeline.duration))
        return replace(super().order_of(assignment), begin=begin, end=end)

    def report(self, assignment: Assignment, percent: int | None = None) -> None:
        """Renew the lease; raises LeaseLost where the video was archived."""
        with transaction.atomic():
            if not self._mine(assignment).not_archived().update(lease_expires_at=lease_end()):
                raise LeaseLost
            if percent is not None:
                SpeechPart.objects.filter(pk=assignment.chunk).update(percent=percent)
                self._show_progress(assignment)

    def keep(self, assignment: Assignment, recognition: Recognition) -> None:
        """Store what is said in a part; with the last one, publish the captions."""
        with transaction.atomic():
            self._lock_job(assignment)
            if not self._mine(assignment).not_archived().update(lease_expires_at=lease_end()):
                raise LeaseLost
            self._part(assignment).keep(recognition.languages, recognition.said)
        self._complete(assignment)

    def _complete(self, assignment: Assignment) -> None:
        with transaction.atomic():
            job = self._lock_job(assignment)  # of two that finish at the same time, exactly one is the last
            is_last = self._part(assignment).is_last()
            if not is_last:
                if not self._mine(assignment).complete():
                    raise LeaseLost
                eligibility.suspend_failing(assignment.chunk)
                self._show_progress(assignment)
        if is_last:
            self._store(assignment, self._joined(job, assignment))
            SpeechPart.objects.of_job(job.pk).filter(chunk__job__video__transcription__status="completed").update(
                said=None
            )
        else:
            self._forget_package(assignment)

    def publish(self, assignment: Assignment, transcript: Transcript) -> None:
        """Raise NotSupported: a part is completed by what is said in it."""
        raise NotSupported("This chunk is a part of a transcription.")

    def _joined(self, job: TranscodingJob, assignment: Assignment) -> Transcript:
        """Return the captions of all parts."""
        rows = list(SpeechPart.objects.of_job(job.pk))
        said = parts.joined(
            [parts.Part(row.begin, row.end, tuple(recognized_of(each) for each in row.said or ())) for row in rows]
        )
        languages: dict[str, float] = {}
        for language, seconds in (pair for row in rows for pair in (row.languages or {}).items()):
            languages[language] = languages.get(language, 0.0) + seconds
        return transcript_of(
            said, languages, float(assignment.plan.timeline.duration), self.order_of(assignment).prompt
        )

    def _part(self, assignment: Assignment) -> SpeechPart:
        """Return the part of a chunk; raises LeaseLost where the recording has been divided anew."""
        part = SpeechPart.objects.select_related("chunk").filter(pk=assignment.chunk).first()
        if part is None:
            raise LeaseLost
        return part

    def _show_progress(self, assignment: Assignment) -> None:
        rows = SpeechPart.objects.filter(chunk__job__chunks=assignment.chunk)
        Transcription.objects.filter(video__job__chunks=assignment.chunk).go_on(rows.percent())
