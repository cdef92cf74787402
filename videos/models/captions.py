"""Transcriptions and their cues."""

# Nullable text columns are the schema's: NULL says "never set" where '' would be a value.
# ruff: noqa: DJ001

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Func, Q

from videos.models.catalogue import Video


class TranscriptionStatus(models.TextChoices):
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class Transcription(models.Model):
    """The words of one video.

    pending ──▶ processing ──▶ completed
                 ▲      │
           retry │      ▼
                 └── failed
    """

    Status = TranscriptionStatus

    video = models.OneToOneField(Video, models.CASCADE, related_name="transcription", db_constraint=False)
    status = models.CharField(
        max_length=20,
        choices=TranscriptionStatus,
        default=TranscriptionStatus.PENDING,
        db_default=TranscriptionStatus.PENDING,
    )
    language = models.CharField(max_length=10, default="en", db_default="en")
    given_language = models.CharField(
        max_length=10, blank=True, default="", db_default="", help_text="Empty: it is detected"
    )
    progress_percent = models.IntegerField(default=0, db_default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    duration_seconds = models.FloatField(null=True, blank=True, help_text="What the transcription took")
    transcript_text = models.TextField(null=True, blank=True)
    vtt_path = models.CharField(max_length=255, null=True, blank=True)
    word_count = models.IntegerField(null=True, blank=True)
    error_message = models.TextField(null=True, blank=True)

    class Meta:
        db_table = "transcriptions"
        constraints = [
            models.CheckConstraint(condition=Q(status__in=TranscriptionStatus.values), name="ck_transcriptions_status"),
            models.CheckConstraint(condition=Q(duration_seconds__gte=0), name="ck_transcriptions_duration"),
            models.CheckConstraint(condition=Q(word_count__gte=0), name="ck_transcriptions_words"),
            models.CheckConstraint(condition=Q(progress_percent__range=(0, 100)), name="ck_transcriptions_progress"),
        ]

    def __str__(self) -> str:
        return f"Transcription of {self.video}"


class Cue(models.Model):
    """One caption: what is said from one second of the video to another."""

    video = models.ForeignKey(Video, models.CASCADE, related_name="cues", db_constraint=False, db_index=False)
    start = models.FloatField(help_text="Seconds")
    end = models.FloatField(help_text="Seconds")
    text = models.TextField()

    class Meta:
        db_table = "cues"
        ordering = ["video_id", "start", "id"]
        indexes = [
            models.Index(fields=["video", "start"], name="ix_cues_video_id_start"),
            GinIndex(Func("text", function="search_words", output_field=SearchVectorField()), name="ix_cues_words"),
        ]
        constraints = [models.CheckConstraint(condition=Q(start__gte=0, end__gte=F("start")), name="ck_cues_times")]

    def __str__(self) -> str:
        return f"{self.start:.1f} s: {self.text}"
