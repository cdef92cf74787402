"""How far the making of each video has come: docs/schema.md describes the tables."""

# Nullable text columns are the schema's: NULL says "never set" where '' would be a value.
# ruff: noqa: DJ001

from django.db import models
from django.db.models import F, Q

from videos.models import Video
from vlog.schema import NamedIndex
from workers.models import Worker

# Foreign keys carry db_constraint=False because the migrations write the constraints, with their ON DELETE rules.


class Step(models.TextChoices):
    PROBE = "probe"
    THUMBNAIL = "thumbnail"
    TRANSCODE = "transcode"
    MASTER_PLAYLIST = "master_playlist"
    FINALIZE = "finalize"


class QualityStatus(models.TextChoices):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


class ChunkKind(models.TextChoices):
    VIDEO = "video"
    AUDIO = "audio"
    STORYBOARD = "storyboard"
    TRANSCRIPTION = "transcription"


class ChunkStatus(models.TextChoices):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TranscodingJob(models.Model):
    """The making of one video, as a whole.

    `current_step` goes probe → thumbnail → transcode → master_playlist → finalize; `completed_at` ends it.
    The worker and claim columns are those of the worker that last claimed or renewed one of its chunks.
    """

    Step = Step

    video = models.OneToOneField(Video, models.CASCADE, related_name="job", db_constraint=False)
    worker = models.ForeignKey(
        Worker,
        models.SET_NULL,
        to_field="worker_id",
        null=True,
        blank=True,
        related_name="jobs",
        db_constraint=False,
        db_index=False,
    )
    current_step = models.CharField(max_length=50, choices=Step, null=True, blank=True)
    progress_percent = models.IntegerField(default=0, db_default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    last_checkpoint = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    claim_expires_at = models.DateTimeField(null=True, blank=True)
    attempt_number = models.IntegerField(default=1, db_default=1)
    max_attempts = models.IntegerField(default=3, db_default=3)
    last_error = models.TextField(null=True, blank=True)
    # No foreign keys: these two outlive the worker.
    processed_by_worker_id = models.CharField(max_length=36, null=True, blank=True)
    processed_by_worker_name = models.CharField(max_length=100, null=True, blank=True)
    plan = models.JSONField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "transcoding_jobs"
        indexes = [
            # Stale job detection. The other index of the schema, ix_transcoding_jobs_video_id, is the one below
            # the video's UNIQUE constraint, which the migration renames.
            NamedIndex(fields=["claim_expires_at"], name="ix_transcoding_jobs_claim_expires"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(current_step__in=Step.values), name="ck_transcoding_jobs_step"),
            models.CheckConstraint(condition=Q(progress_percent__range=(0, 100)), name="ck_transcoding_jobs_progress"),
            models.CheckConstraint(
                condition=Q(attempt_number__gte=1, max_attempts__gte=1), name="ck_transcoding_jobs_attempts"
            ),
        ]

    def __str__(self) -> str:
        return f"Job of {self.video}"


class QualityProgress(models.Model):
    """How far one rung has come.

    pending ──▶ in_progress ──▶ completed | failed        skipped: the rung is above the source
    """

    Status = QualityStatus

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


class TranscodingChunk(models.Model):
    """A piece of a job that one worker does in one go: a run of segments in all rungs of one tier.

    pending ──claim──▶ running ──▶ completed
       ▲                  │ ├────▶ failed        attempts spent
       └──lease expired───┘ └────▶ cancelled

    `attempt` counts the claims and is the fence: whoever writes names it, and loses where it has moved on.
    `failures` counts the attempts spent. `last_segment` is inclusive.
    """

    Kind = ChunkKind
    Status = ChunkStatus

    job = models.ForeignKey(TranscodingJob, models.CASCADE, related_name="chunks", db_constraint=False, db_index=False)
    kind = models.CharField(max_length=20, choices=ChunkKind, default=ChunkKind.VIDEO, db_default=ChunkKind.VIDEO)
    tier = models.IntegerField(default=0, db_default=0)
    index = models.IntegerField(default=0, db_default=0, help_text="Position in the plan; 0 comes first")
    first_segment = models.IntegerField(default=0, db_default=0)
    last_segment = models.IntegerField(default=0, db_default=0)
    status = models.CharField(
        max_length=20, choices=ChunkStatus, default=ChunkStatus.PENDING, db_default=ChunkStatus.PENDING
    )
    worker = models.ForeignKey(
        Worker,
        models.SET_NULL,
        to_field="worker_id",
        null=True,
        blank=True,
        related_name="chunks",
        db_constraint=False,
        db_index=False,
    )
    attempt = models.IntegerField(default=0, db_default=0)
    failures = models.IntegerField(default=0, db_default=0)
    delivered = models.BooleanField(
        default=False, db_default=False, help_text="Whether a segment arrived since the last claim"
    )
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(null=True, blank=True)

    class Meta:
        db_table = "transcoding_chunks"
        indexes = [
            models.Index(fields=["job"], name="ix_transcoding_chunks_job_id"),
            # The claim: the first open chunk in the order of index, job and tier, FOR UPDATE SKIP LOCKED. It stays
            # as small as the work that is left, however many finished chunks the table keeps.
            models.Index(
                fields=["index", "job", "tier"],
                name="ix_transcoding_chunks_claim",
                condition=Q(status__in=[ChunkStatus.PENDING, ChunkStatus.RUNNING]),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["job", "kind", "tier", "first_segment"], name="uq_chunk"),
            models.CheckConstraint(condition=Q(kind__in=ChunkKind.values), name="ck_transcoding_chunks_kind"),
            models.CheckConstraint(condition=Q(status__in=ChunkStatus.values), name="ck_transcoding_chunks_status"),
            models.CheckConstraint(
                condition=Q(first_segment__gte=0, last_segment__gte=F("first_segment")),
                name="ck_transcoding_chunks_segments",
            ),
            models.CheckConstraint(
                condition=Q(tier__gte=0, index__gte=0, attempt__gte=0, failures__gte=0),
                name="ck_transcoding_chunks_counts",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.first_segment}-{self.last_segment}, tier {self.tier}"
