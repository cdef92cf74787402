"""The transcoding job of each video: docs/schema.md describes the table."""

# Nullable text columns are the schema's: NULL says "never set" where '' would be a value.
# ruff: noqa: DJ001

from collections.abc import Iterable
from typing import Any

from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from transcoding.engine.plan.plan import Plan
from transcoding.engine.renditions import VideoRendition
from transcoding.models.attempt import Attempt, Outcome
from transcoding.models.states import (
    POST_PUBLISH,
    UNFINISHED,
    ChunkKind,
    ChunkStatus,
    PipelineStep,
    Priority,
    QualityStatus,
    given_up,
)
from videos.models import Video, VideoQuality
from vlog.schema import NamedIndex
from workers.models import Worker

# Foreign keys carry db_constraint=False because the migrations write the constraints, with their ON DELETE rules:
# Django would drop a rule that it does not know when it alters the column.


class JobQuerySet(models.QuerySet["TranscodingJob"]):
    def waiting_for_space(self) -> "JobQuerySet":
        """Those that were analysed and cannot be laid out before there is room on the disk."""
        return self.filter(plan__isnull=True, reserved_bytes__isnull=False)


class TranscodingJob(models.Model):
    """The making of one video, as a whole.

    `current_step` goes probe → thumbnail → transcode → master_playlist → finalize; `completed_at` ends it.
    The worker and claim columns are those of the worker that last claimed or renewed one of its chunks.
    """

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
    current_step = models.CharField(max_length=50, choices=PipelineStep, null=True, blank=True)
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
    reserved_bytes = models.BigIntegerField(
        null=True, blank=True, editable=False, help_text="What its making is expected to write; without a plan it waits"
    )

    objects = JobQuerySet.as_manager()

    class Meta:
        db_table = "transcoding_jobs"
        indexes = [
            # Stale job detection. The other index of the schema, ix_transcoding_jobs_video_id, is the one below
            # the video's UNIQUE constraint, which the migration renames.
            NamedIndex(fields=["claim_expires_at"], name="ix_transcoding_jobs_claim_expires"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(current_step__in=PipelineStep.values), name="ck_transcoding_jobs_step"),
            models.CheckConstraint(condition=Q(progress_percent__range=(0, 100)), name="ck_transcoding_jobs_progress"),
            models.CheckConstraint(
                condition=Q(attempt_number__gte=1, max_attempts__gte=1), name="ck_transcoding_jobs_attempts"
            ),
            models.CheckConstraint(condition=Q(reserved_bytes__gte=0), name="ck_transcoding_jobs_reserved"),
        ]

    def __str__(self) -> str:
        return f"Job of {self.video}"

    def lock(self) -> None:
        """Hold the job until the transaction ends; whoever writes several rows of a job locks it before them."""
        # Not FOR UPDATE, which would wait for a claim that refers to the job while it holds a chunk.
        TranscodingJob.objects.select_for_update(no_key=True).filter(pk=self.pk).first()

    def publish_early(self, rungs: Iterable[VideoRendition]) -> None:
        """Let viewers in where the editor wants that as soon as the video plays; the qualities are those planned."""
        wanted = Video.objects.alive().filter(pk=self.video_id, status=Video.Status.PROCESSING, publish_early=True)
        with transaction.atomic():
            if wanted.filter(published_at=None).update(published_at=timezone.now()):
                planned = [
                    VideoQuality(
                        video_id=self.video_id,
                        quality=rung.key,
                        width=rung.width,
                        height=rung.height,
                        bitrate=rung.bitrate,
                    )
                    for rung in rungs
                ]
                VideoQuality.objects.bulk_create(planned, ignore_conflicts=True)

    def begin(self, step: str) -> bool:
        """Enter a step; False where nothing is wanted of it: the video is ready, failed, archived or gone.

        Nor are the last steps wanted as long as a piece is missing: a message may be older than a new beginning.
        """
        if step in {PipelineStep.MASTER_PLAYLIST, PipelineStep.FINALIZE} and not self.is_encoded():
            return False
        wanted = Video.objects.alive().filter(pk=self.video_id, status__in=UNFINISHED)
        if not wanted.update(status=Video.Status.PROCESSING):
            return False
        now = timezone.now()
        self._write(current_step=step, last_checkpoint=now, started_at=Coalesce("started_at", now))
        return True

    def is_encoded(self) -> bool:
        """Whether every piece is complete that the video cannot be published without."""
        pieces = self.chunks.encoding()
        return pieces.exists() and not pieces.exclude(status=ChunkStatus.COMPLETED).exists()

    def checkpoint(self, **columns: Any) -> None:
        """Note that the work moved on."""
        self._write(last_checkpoint=timezone.now(), **columns)

    def warn(self, *sentences: str) -> None:
        """Note for the editor what of it is not as it should be; the same again is no harm."""
        with transaction.atomic():
            self.lock()
            self.refresh_from_db(fields=["plan"])
            known = self.warnings
            new = [sentence for sentence in dict.fromkeys(sentences) if sentence not in known]
            if new:
                self.checkpoint(plan={**(self.plan or {}), "warnings": [*known, *new]})

    @property
    def warnings(self) -> list[str]:
        """Sentences for the editor: what of the source is not there, and what could be better of what was made."""
        return list((self.plan or {}).get("warnings", ()))

    def spend_attempt(self, number: int, error: str) -> None:
        """Note that a step has now failed `number` times; the last time allowed fails the video."""
        self.note_failure(number, error)
        if number >= self.max_attempts:
            self.fail(given_up(number, error))

    def note_failure(self, number: int, error: str) -> None:
        """Note that a piece or a step has now failed `number` times."""
        self._write(attempt_number=Greatest("attempt_number", min(number + 1, self.max_attempts)), last_error=error)

    def fail(self, reason: str) -> bool:
        """End the job: nothing more is made of the video until it is tried again; its files stay.

        False where the video is ready or has failed already.
        """
        with transaction.atomic():
            self.lock()
            if not Video.objects.filter(pk=self.video_id, status__in=UNFINISHED).update(
                status=Video.Status.FAILED, error_message=reason
            ):
                return False
            self._write(last_error=reason, worker=None, claim_expires_at=None)
            self.chunks.encoding().open().update(status=ChunkStatus.CANCELLED, lease_expires_at=None)
            self.attempts.exclude(kind__in=POST_PUBLISH).end(Outcome.CANCELLED)
            self.free_workers()
            self.qualities.filter(status__in=[QualityStatus.PENDING, QualityStatus.IN_PROGRESS]).update(
                status=QualityStatus.FAILED, error_message=reason
            )
            return True

    def restart_pictures(self, encoder: str, warning: str) -> None:
        """Have every picture encoded again by another encoder. Call it with the job locked and the segments gone."""
        plan = Plan.from_json(self.plan or {}).begun_anew(encoder=encoder)
        self._write(plan={**plan.to_json(), "warnings": [*self.warnings, warning]})
        pieces = self.chunks.filter(kind=ChunkKind.VIDEO)
        Attempt.objects.running().filter(chunk__in=pieces).end(Outcome.CANCELLED, warning)
        self.free_workers()
        pieces.update(status=ChunkStatus.PENDING, failures=0, lease_expires_at=None, priority=Priority.NORMAL)
        self.qualities.exclude(status=QualityStatus.SKIPPED).update(
            status=QualityStatus.PENDING, segments_completed=0, progress_percent=0, completed_at=None
        )

    def free_workers(self) -> None:
        """Note that nobody works on it: whoever loses a lease does not say so."""
        Worker.objects.filter(current_job=self.pk).update(current_job=None)

    def reopen(self) -> bool:
        """Take a failed video up again with all its attempts; what was made is kept. False where it had not failed."""
        with transaction.atomic():
            self.lock()
            failed = Video.objects.alive().filter(pk=self.video_id, status=Video.Status.FAILED)
            if not failed.update(status=Video.Status.PROCESSING, error_message=None):
                return False
            self._write(attempt_number=1, last_error=None, last_checkpoint=timezone.now())
            self.chunks.encoding().filter(status__in=[ChunkStatus.FAILED, ChunkStatus.CANCELLED]).update(
                status=ChunkStatus.PENDING, failures=0, error=None, priority=Priority.NORMAL
            )
            self.qualities.filter(status=QualityStatus.FAILED).update(status=QualityStatus.PENDING, error_message=None)
            return True

    def forget(self) -> None:
        """Begin from nothing: the next probe lays it out. Call it with the job locked. Attempts stay as a record."""
        self.attempts.filter(kind=ChunkKind.STORYBOARD).end(Outcome.CANCELLED)  # it shows what is about to go
        self.chunks.exclude(kind=ChunkKind.TRANSCRIPTION).delete()
        self.qualities.all().delete()
        self._write(
            **dict.fromkeys(("plan", "reserved_bytes", "current_step", "started_at", "completed_at")),
            **dict.fromkeys(("last_error", "worker")),
            **dict.fromkeys(("claimed_at", "claim_expires_at", "processed_by_worker_id", "processed_by_worker_name")),
            progress_percent=0,
            attempt_number=1,
            last_checkpoint=timezone.now(),
        )

    def _write(self, **columns: Any) -> None:
        TranscodingJob.objects.filter(pk=self.pk).update(**columns)
