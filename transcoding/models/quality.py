"""The progress of each rendition of a job: docs/schema.md describes the table."""

# Nullable text columns are the schema's: NULL says "never set" where '' would be a value.
# ruff: noqa: DJ001

from django.db import models
from django.db.models import Q

from transcoding.models.job import TranscodingJob
from transcoding.models.states import QualityStatus


class QualityProgress(models.Model):
    """How far one rung has come.

    pending ──▶ in_progress ──▶ completed | failed        skipped: the rung is above the source
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
