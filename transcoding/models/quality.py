"""The progress of each rendition of a job: docs/schema.md describes the table."""

# Nullable text columns are the schema's: NULL says "never set" where '' would be a value.
# ruff: noqa: DJ001

from django.db import models
from django.db.models import F, Q, Sum
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from transcoding.models.job import TranscodingJob
from transcoding.models.states import QualityStatus


class QualityQuerySet(models.QuerySet["QualityProgress"]):
    def planned(self) -> "QualityQuerySet":
        """Return the qualities that are made; the others are above the source."""
        return self.exclude(status=QualityStatus.SKIPPED)

    def unfinished(self) -> "QualityQuerySet":
        return self.filter(status__in=[QualityStatus.PENDING, QualityStatus.IN_PROGRESS])

    def record(self, chunk: int, quality: str, count: int) -> None:
        """Raise the progress of one rendition of a chunk's job to a number of stored segments, and that of the job."""
        qualities = self.filter(job__chunks=chunk)
        qualities.filter(quality=quality).record_segments(count)
        sums = qualities.planned().aggregate(done=Sum("segments_completed"), all=Sum("segments_total"))
        TranscodingJob.objects.filter(chunks=chunk).update(progress_percent=100 * sums["done"] // sums["all"])

    def record_segments(self, count: int) -> None:
        """Raise the progress to a number of stored segments; with the last one the quality is complete."""
        now = timezone.now()
        self.update(
            status=QualityStatus.IN_PROGRESS,
            started_at=Coalesce("started_at", now),
            segments_completed=Greatest("segments_completed", count),
        )
        self.update_percentage()
        self.filter(segments_completed=F("segments_total")).update(
            status=QualityStatus.COMPLETED, completed_at=Coalesce("completed_at", now)
        )

    def update_percentage(self) -> int:
        """Compute the percentage from the segments; returns the number of rows."""
        return self.update(progress_percent=100 * F("segments_completed") / F("segments_total"))

    def complete(self) -> int:
        """Mark the qualities as completely made; returns their number."""
        completed_at = Coalesce("completed_at", timezone.now())
        return self.update(status=QualityStatus.COMPLETED, progress_percent=100, completed_at=completed_at)

    def fail(self, reason: str) -> None:
        self.update(status=QualityStatus.FAILED, error_message=reason)

    def reopen(self) -> None:
        """Continue failed qualities; what was made of them counts."""
        self.filter(status=QualityStatus.FAILED).update(status=QualityStatus.PENDING, error_message=None)

    def reset(self) -> None:
        """Start the qualities over, because their segments were removed."""
        self.update(
            status=QualityStatus.PENDING,
            segments_completed=0,
            progress_percent=0,
            started_at=None,
            completed_at=None,
            error_message=None,
        )


class QualityProgress(models.Model):
    """The progress of one rung.

    pending ──▶ in_progress ──▶ completed        skipped: the rung is above the source
       ▲             │
       └── failed ◀──┘
    """

    job = models.ForeignKey(
        TranscodingJob, models.CASCADE, related_name="qualities", db_constraint=False, db_index=False
    )
    quality = models.CharField(max_length=10)
    status = models.CharField(
        max_length=20, choices=QualityStatus, default=QualityStatus.PENDING, db_default=QualityStatus.PENDING
    )
    segments_total = models.IntegerField(null=True, blank=True)
    segments_completed = models.IntegerField(default=0, db_default=0)
    progress_percent = models.IntegerField(default=0, db_default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    error_message = models.TextField(null=True, blank=True)

    objects = QualityQuerySet.as_manager()

    class Meta:
        db_table = "quality_progress"
        verbose_name_plural = "quality progress"
        indexes = [models.Index(fields=["job"], name="ix_quality_progress_job_id")]
        constraints = [
            models.UniqueConstraint(fields=["job", "quality"], name="uq_job_quality"),
            models.CheckConstraint(condition=Q(status__in=QualityStatus.values), name="ck_quality_progress_status"),
            models.CheckConstraint(condition=Q(progress_percent__range=(0, 100)), name="ck_quality_progress_progress"),
            models.CheckConstraint(
                condition=Q(segments_completed__gte=0, segments_total__gte=0),
                name="ck_quality_progress_segments",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quality}: {self.get_status_display()}"

    @classmethod
    def skipped(cls, job: TranscodingJob, quality: str) -> "QualityProgress":
        """Return an unsaved row for a rung above the source."""
        return cls(job=job, quality=quality, status=QualityStatus.SKIPPED)
