"""Transcriptions."""

# Nullable text columns are the schema's: NULL says "never set" where '' would be a value.
# ruff: noqa: DJ001

from typing import Any

from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone
from django.utils.translation import gettext as _

from videos.models.catalogue import Video
from videos.models.categories import GLOSSARY


class TranscriptionStatus(models.TextChoices):
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


class TranscriptionQuerySet(models.QuerySet["Transcription"]):
    def request(self, video_id: int, language: str = "", glossary: str | None = None) -> None:
        """Ask for a transcription; the language is detected unless it is given. The captions of before are kept.

        glossary: None leaves it as it is.
        """
        fresh: dict[str, Any] = {"status": TranscriptionStatus.PENDING, "progress_percent": 0}
        fresh |= {"given_language": language, **dict.fromkeys(("started_at", "completed_at", "error_message"))}
        fresh |= {} if glossary is None else {"glossary": glossary}
        self.update_or_create(video_id=video_id, defaults=fresh)

    def skip(self, video_id: int, reason: str) -> None:
        """Complete the transcription of a video that needs none."""
        done: dict[str, Any] = {"status": TranscriptionStatus.COMPLETED, "progress_percent": 100, "word_count": 0}
        done |= {"completed_at": timezone.now(), "error_message": reason, "given_language": ""}
        self.update_or_create(video_id=video_id, defaults=done)

    def start(self) -> int:
        """Note that a worker has begun; returns the number of transcriptions."""
        return self.update(
            status=TranscriptionStatus.PROCESSING, started_at=timezone.now(), progress_percent=0, error_message=None
        )

    def prompt_of(self, video_id: int) -> str:
        """Return the names and terms for Whisper of a video's category, and of the video."""
        rows = self.filter(video=video_id).values_list("video__category__glossary", "glossary")
        return " ".join(part for row in rows for part in row if part)

    def running(self) -> "TranscriptionQuerySet":
        return self.filter(status=TranscriptionStatus.PROCESSING)

    def reset(self, error: str | None = None) -> int:
        """Note that another worker begins again; error: why the last one failed."""
        return self.update(
            status=TranscriptionStatus.PENDING, started_at=None, completed_at=None, progress_percent=0,
            error_message=error,
        )  # fmt: skip

    def go_on(self, percent: int = 0) -> int:
        """Note that a part is being transcribed; what is done of the others is kept."""
        return self.exclude(status__in=[TranscriptionStatus.COMPLETED, TranscriptionStatus.FAILED]).update(
            status=TranscriptionStatus.PROCESSING,
            started_at=Coalesce("started_at", Value(timezone.now())),
            progress_percent=Greatest("progress_percent", percent),
            error_message=None,
        )

    def pause(self, error: str | None = None) -> int:
        """Note that no worker has a part now; what is done is kept. error: why the last one failed."""
        return self.running().update(status=TranscriptionStatus.PENDING, error_message=error)

    def fail(self, reason: str) -> int:
        return self.update(status=TranscriptionStatus.FAILED, error_message=reason, completed_at=timezone.now())


class Transcription(models.Model):
    """The captions of one video in the making, and its transcript.

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
    glossary = models.CharField(
        max_length=GLOSSARY, blank=True, default="", db_default="", help_text="Names and terms as they are spelled"
    )
    progress_percent = models.IntegerField(default=0, db_default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    duration_seconds = models.FloatField(null=True, blank=True, help_text="What the transcription took")
    transcript_text = models.TextField(null=True, blank=True)
    vtt_path = models.CharField(max_length=255, null=True, blank=True)
    word_count = models.IntegerField(null=True, blank=True)
    error_message = models.TextField(null=True, blank=True)

    objects = TranscriptionQuerySet.as_manager()

    class Meta:
        db_table = "transcriptions"
        constraints = [
            models.CheckConstraint(condition=Q(status__in=TranscriptionStatus.values), name="ck_transcriptions_status"),
            models.CheckConstraint(condition=Q(duration_seconds__gte=0), name="ck_transcriptions_duration"),
            models.CheckConstraint(condition=Q(word_count__gte=0), name="ck_transcriptions_words"),
            models.CheckConstraint(condition=Q(progress_percent__range=(0, 100)), name="ck_transcriptions_progress"),
        ]

    def __str__(self) -> str:
        return _("Transcription of %(video)s") % {"video": self.video}

    def seconds_left(self) -> float | None:
        """Return the remaining time, by what has been done since it began; None where that is not known."""
        if self.status != TranscriptionStatus.PROCESSING or self.started_at is None or not self.progress_percent:
            return None
        elapsed = (timezone.now() - self.started_at).total_seconds()
        return elapsed * (100 - self.progress_percent) / self.progress_percent

    def complete(self, language: str, text: str, words: int, error: str | None) -> None:
        """Store the transcript; language: empty where nothing was said, error: why its captions are not published."""
        now = timezone.now()
        self.status, self.completed_at, self.progress_percent = TranscriptionStatus.COMPLETED, now, 100
        self.language = language or self.given_language or self.language
        self.duration_seconds = (now - (self.started_at or now)).total_seconds()
        self.transcript_text, self.word_count = text, words
        self.error_message = error
        self.save()
