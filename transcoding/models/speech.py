"""The parts of a long recording that is transcribed: docs/schema.md describes the table."""

from typing import Any

from django.db import models
from django.db.models import F, Q, Sum

from transcoding.models.chunk import TranscodingChunk
from transcoding.models.states import ChunkKind, ChunkStatus


class SpeechPartQuerySet(models.QuerySet["SpeechPart"]):
    def of_job(self, job: int) -> "SpeechPartQuerySet":
        """Return the parts of the recording of a job, in order."""
        return self.filter(chunk__job=job, chunk__kind=ChunkKind.SPEECH).order_by("begin")

    def percent(self) -> int:
        """Return how much of the recording is done, as far as that is known while it is transcribed."""
        lasting = F("end") - F("begin")
        sums = self.aggregate(done=Sum(lasting * F("percent")), all=Sum(lasting))
        return min(99, int((sums["done"] or 0) / (sums["all"] or 1)))


class SpeechPart(models.Model):
    """One part of a recording, and what Whisper recognizes in it. Its chunk says who transcribes it.

    `said` is kept until the recording is transcribed again, so that no worker begins at zero: a killed one costs the
    part that it had.
    """

    chunk = models.OneToOneField(
        TranscodingChunk, models.CASCADE, primary_key=True, related_name="part", db_constraint=False
    )
    begin = models.FloatField(help_text="Seconds of the video")
    end = models.FloatField(help_text="Seconds of the video")
    percent = models.IntegerField(default=0, db_default=0)
    languages = models.JSONField(null=True, blank=True, help_text="Seconds of speech in each language: {code: seconds}")
    said = models.JSONField(
        null=True,
        blank=True,
        help_text="[[start, end, text, no_speech, loudness, words], …]; NULL: not transcribed yet",
    )

    objects = SpeechPartQuerySet.as_manager()

    class Meta:
        db_table = "speech_parts"
        default_permissions = ()
        constraints = [
            models.CheckConstraint(condition=Q(begin__gte=0, end__gt=F("begin")), name="ck_speech_parts_times"),
            models.CheckConstraint(condition=Q(percent__range=(0, 100)), name="ck_speech_parts_percent"),
        ]

    def __str__(self) -> str:
        return f"{self.begin:.0f} s to {self.end:.0f} s"

    def keep(self, languages: dict[str, float], said: list[Any]) -> None:
        """Keep what is said in the part. Call it with the chunk locked and held."""
        self.languages, self.said, self.percent = languages, said, 100
        self.save(update_fields=["languages", "said", "percent"])

    def is_last(self) -> bool:
        """Return whether all other parts are complete. Call it with the job locked."""
        others = TranscodingChunk.objects.filter(job=self.chunk.job_id, kind=ChunkKind.SPEECH).exclude(pk=self.pk)
        return not others.exclude(status=ChunkStatus.COMPLETED).exists()
