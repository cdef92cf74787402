"""What the original of a video contains, beside its picture and sound."""

from collections.abc import Sequence
from typing import Any

from django.db import models, transaction
from django.db.models import Q

from videos.models.catalogue import Video


class StreamFate(models.TextChoices):
    TAKEN = "taken"
    LEFT_OUT = "left_out", "Not taken"


class SourceStreamQuerySet(models.QuerySet["SourceStream"]):
    def replace(self, video_id: int, streams: Sequence[dict[str, Any]]) -> None:
        """Make these the streams of a video's original."""
        with transaction.atomic():
            self.filter(video=video_id).delete()
            self.bulk_create([self.model(video_id=video_id, **stream) for stream in streams])

    def tell(self, video_id: int, number: int, kind: str, fate: str, reason: str) -> None:
        """Record what became of a stream, once that is known better than the probe knew it."""
        self.filter(video=video_id, number=number, kind=kind).update(fate=fate, reason=reason)


class SourceStream(models.Model):
    """One stream of a video's original, and what became of it. `reason` is a sentence for the editor."""

    Fate = StreamFate

    video = models.ForeignKey(Video, models.CASCADE, related_name="source_streams", db_constraint=False, db_index=False)
    number = models.IntegerField(help_text="As the container counts, from 0")
    kind = models.CharField(max_length=20, help_text="Such as video, audio, subtitles, captions, attachment")
    codec = models.CharField(max_length=50, blank=True, default="", db_default="")
    language = models.CharField(max_length=35, default="und", db_default="und", help_text="BCP 47")
    title = models.CharField(max_length=255, blank=True, default="", db_default="")
    fate = models.CharField(max_length=20, choices=StreamFate)
    reason = models.TextField()

    objects = SourceStreamQuerySet.as_manager()

    class Meta:
        db_table = "source_streams"
        ordering = ["video_id", "number", "kind"]
        default_permissions = ()  # only the probe and the extraction write these rows
        constraints = [
            # Its index also serves pages and ON DELETE. Captions within a picture stream share that stream's number.
            models.UniqueConstraint(fields=["video", "number", "kind"], name="uq_source_streams"),
            models.CheckConstraint(condition=Q(fate__in=StreamFate.values), name="ck_source_streams_fate"),
            models.CheckConstraint(condition=Q(number__gte=0), name="ck_source_streams_number"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.number} of {self.video}: {self.reason}"
