"""How far the making of each video has come: docs/schema.md describes the tables."""

# Nullable text columns are the schema's: NULL says "never set" where '' would be a value.
# ruff: noqa: DJ001

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import apnumber
from django.db import models, transaction
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from transcoding.attempts import Attempt, Outcome
from transcoding.ladder import Rung
from videos.models import Transcription, Video, VideoQuality
from vlog.schema import NamedIndex
from workers.models import Worker

# Foreign keys carry db_constraint=False because the migrations write the constraints, with their ON DELETE rules.


CANCELLED = "Cancelled by"
SILENT = "the worker that had it went silent"
UNFINISHED = (Video.Status.PENDING, Video.Status.PROCESSING)


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


AFTERWARDS = (ChunkKind.STORYBOARD, ChunkKind.TRANSCRIPTION)  # made of published videos, apart from their jobs


class ChunkStatus(models.TextChoices):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Priority(models.IntegerChoices):
    DEMANDED = 0, "somebody waits for it"
    NORMAL = 1
    RETRY = 2, "it has failed before"
    LAST = 3, "nobody misses it for now"


class JobQuerySet(models.QuerySet["TranscodingJob"]):
    def waiting_for_room(self) -> "JobQuerySet":
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
            models.CheckConstraint(condition=Q(current_step__in=Step.values), name="ck_transcoding_jobs_step"),
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

    def publish_early(self, rungs: Iterable[Rung]) -> None:
        """Let viewers in where the editor wants that as soon as the video plays; the qualities are those planned."""
        wanted = Video.objects.alive().filter(pk=self.video_id, status=Video.Status.PROCESSING, publish_early=True)
        with transaction.atomic():
            if wanted.filter(published_at=None).update(published_at=timezone.now()):
                planned = [
                    VideoQuality(
                        video_id=self.video_id,
                        quality=rung.name,
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
        if step in {Step.MASTER_PLAYLIST, Step.FINALIZE} and not self.is_encoded():
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
            self.attempts.exclude(kind__in=AFTERWARDS).end(Outcome.CANCELLED)
            self.free_workers()
            self.qualities.filter(status__in=[QualityStatus.PENDING, QualityStatus.IN_PROGRESS]).update(
                status=QualityStatus.FAILED, error_message=reason
            )
            return True

    def restart_pictures(self, encoder: str, warning: str) -> None:
        """Have every picture encoded again by another encoder. Call it with the job locked and the segments gone."""
        self._write(plan={**(self.plan or {}), "encoder": encoder, "warnings": [*self.warnings, warning]})
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


class ChunkQuerySet(models.QuerySet["TranscodingChunk"]):
    def open(self) -> "ChunkQuerySet":
        """Those that somebody works on or has yet to."""
        return self.filter(status__in=[ChunkStatus.PENDING, ChunkStatus.RUNNING])

    def encoding(self) -> "ChunkQuerySet":
        """Those that a video cannot be published without: it is heard and drawn afterwards."""
        return self.exclude(kind__in=AFTERWARDS)

    def transcriptions(self) -> "ChunkQuerySet":
        return self.filter(kind=ChunkKind.TRANSCRIPTION)

    def expired(self) -> "ChunkQuerySet":
        """Those whose worker has not been heard of for the time of a lease."""
        return self.filter(status=ChunkStatus.RUNNING, lease_expires_at__lt=timezone.now())

    def wanted(self) -> "ChunkQuerySet":
        """Those of videos that are not in the archive; the others wait for their video's return."""
        return self.filter(job__video__deleted_at=None)

    def claimable(self) -> "ChunkQuerySet":
        # As a question about each piece: a join lets PostgreSQL read through all videos before the first piece.
        alive = TranscodingJob.objects.filter(pk=OuterRef("job"), video__deleted_at=None)
        return self.filter(status=ChunkStatus.PENDING, job=Subquery(alive.values("pk")))

    def in_order_of_work(self) -> "ChunkQuerySet":
        """What somebody waits for; then the first chunk of every video before the second of any; retries at the end."""
        return self.order_by("priority", "index", "job_id", "tier", "first_segment")

    def demanded(self) -> "ChunkQuerySet":
        """Those that somebody waits for and nobody works on."""
        return self.filter(priority=Priority.DEMANDED, status=ChunkStatus.PENDING)

    def held_by(self, worker: Worker, chunk: int, attempt: int) -> "ChunkQuerySet":
        """The one chunk, as long as this attempt is the newest, runs and is this worker's.

        Every write after a claim goes through it.
        """
        return self.filter(pk=chunk, attempt=attempt, worker=worker, status=ChunkStatus.RUNNING)


class TranscodingChunk(models.Model):
    """A piece of a job that one worker does in one go: a run of segments in all rungs of one tier.

    pending ──claim──▶ running ──▶ completed
       ▲                  │ ├────▶ failed        attempts spent
       └──lease expired───┘ └────▶ cancelled

    `attempt` counts the claims and is the fence: whoever writes names it, and loses where it has moved on.
    `failures` counts the attempts spent. `last_segment` is inclusive.
    """

    job = models.ForeignKey(TranscodingJob, models.CASCADE, related_name="chunks", db_constraint=False, db_index=False)
    kind = models.CharField(max_length=20, choices=ChunkKind, default=ChunkKind.VIDEO, db_default=ChunkKind.VIDEO)
    tier = models.IntegerField(default=0, db_default=0)
    priority = models.SmallIntegerField(choices=Priority, default=Priority.NORMAL, db_default=Priority.NORMAL)
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

    objects = ChunkQuerySet.as_manager()

    class Meta:
        db_table = "transcoding_chunks"
        indexes = [
            models.Index(fields=["job"], name="ix_transcoding_chunks_job_id"),
            # The claim: the first waiting chunk of a kind in the queryset's order_of_work, FOR UPDATE SKIP LOCKED. It
            # stays as small as the work that is left, however many chunks the table keeps, or workers have.
            models.Index(
                fields=["kind", "priority", "index", "job", "tier", "first_segment"],
                name="ix_transcoding_chunks_claim",
                condition=Q(status=ChunkStatus.PENDING),
            ),
            models.Index(  # whose lease has expired
                fields=["lease_expires_at"],
                name="ix_transcoding_chunks_lease",
                condition=Q(status=ChunkStatus.RUNNING),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["job", "kind", "tier", "first_segment"], name="uq_chunk"),
            models.CheckConstraint(condition=Q(kind__in=ChunkKind.values), name="ck_transcoding_chunks_kind"),
            models.CheckConstraint(condition=Q(status__in=ChunkStatus.values), name="ck_transcoding_chunks_status"),
            models.CheckConstraint(condition=Q(priority__in=Priority.values), name="ck_transcoding_chunks_priority"),
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

    def is_expired(self) -> bool:
        return self.lease_expires_at is not None and self.lease_expires_at < timezone.now()

    def split(self, segment: int, priority: Priority) -> "TranscodingChunk":
        """End before a segment and leave the rest to a new piece. Call it with the job and this row locked."""
        rest = TranscodingChunk(
            **{name: getattr(self, name) for name in ("job_id", "kind", "tier", "index", "last_segment")},
            first_segment=segment,
            priority=priority,
        )
        self.last_segment = segment - 1
        self.save(update_fields=["last_segment"])
        rest.save(force_insert=True)
        Attempt.objects.running().filter(chunk=self).update(last_segment=self.last_segment)
        return rest

    def absorb_next(self) -> None:
        """Take over the piece that follows, if nobody has begun it. Call it with the job locked."""
        following = TranscodingChunk.objects.filter(
            job=self.job_id, kind=self.kind, tier=self.tier, first_segment=self.last_segment + 1, attempt=0
        ).first()
        if following is not None:
            self.last_segment = following.last_segment
            self.save(update_fields=["last_segment"])
            following.delete()

    def lose_lease(self) -> None:
        """Put an expired chunk back; without a segment delivered it costs an attempt.

        A worker that dies late has done its share.
        """
        with transaction.atomic():
            self.job.lock()
            expired = TranscodingChunk.objects.expired().select_for_update(of=("self",)).select_related("job__video")
            chunk = expired.filter(pk=self.pk).first()
            if chunk is None:
                return  # somebody else was faster, or its worker was heard of after all
            Attempt.objects.filter(chunk=chunk).end(Outcome.LOST, SILENT)
            Worker.objects.filter(worker_id=chunk.worker_id, current_job=chunk.job_id).update(current_job=None)
            agent = Worker.objects.filter(worker_id=chunk.worker_id, worker_type=Worker.Type.REMOTE)
            agent.call_silent_offline(settings.LEASE_SECONDS)  # so that nobody leaves the piece to it
            if chunk.delivered or chunk.job.video.deleted_at is not None:
                chunk.put_back()
            else:
                chunk.spend_attempt(f"{SILENT} before it delivered anything")

    def put_back(self) -> None:
        """Let somebody else have it, unspent."""
        self.status, self.lease_expires_at = ChunkStatus.PENDING, None
        self.save(update_fields=["status", "lease_expires_at"])
        self._tell_transcription(status=Transcription.Status.PENDING, progress_percent=0)

    def spend_attempt(self, error: str, *, final: bool = False) -> None:
        """Note a failure; the last one allowed, or one that is final, fails the video. Call it with the job locked.

        Where it was only to be heard or drawn, it stays as it is: the chunk fails, and its transcription.
        """
        self.failures, self.error = self.failures + 1, error
        is_over = final or self.failures >= self.job.max_attempts
        self.status = ChunkStatus.FAILED if is_over else ChunkStatus.PENDING
        self.lease_expires_at = None
        self.save(update_fields=["failures", "error", "status", "lease_expires_at", "priority"])
        if self.kind not in AFTERWARDS:
            told = f"{self}: {error}"
            self.job.note_failure(self.failures, told)
            if is_over:
                self.job.fail(told if final else self._given_up(told))
        elif is_over:
            reason, now = error if final else self._given_up(error), timezone.now()
            self._tell_transcription(status=Transcription.Status.FAILED, error_message=reason, completed_at=now)
        else:
            self._tell_transcription(status=Transcription.Status.PENDING, error_message=error, progress_percent=0)

    def _given_up(self, error: str) -> str:
        """The sentence for the editor; a worker that fell silent has not told that it is the file."""
        spent = Attempt.objects.spent().filter(chunk=self).order_by("-number")[: self.failures]
        failed_on = [attempt.worker_name for attempt in reversed(spent) if attempt.outcome == Outcome.FAILED]
        return given_up(self.failures, error, list(dict.fromkeys(failed_on)))

    def _tell_transcription(self, **columns: Any) -> None:
        if self.kind == ChunkKind.TRANSCRIPTION:
            Transcription.objects.filter(video__job=self.job_id).update(**columns)


def lease_end(now: datetime | None = None) -> datetime:
    """When a lease that is taken or renewed now runs out."""
    return (now or timezone.now()) + timedelta(seconds=settings.LEASE_SECONDS)


def given_up(number: int, error: str, workers: Sequence[str] = ()) -> str:
    """Why there is no further attempt, for the editor; what fails on several workers is to blame itself."""
    if len(workers) > 1:
        where = f"{apnumber(len(workers))} workers ({', '.join(workers)})"
        return f"It failed on {where}, so it is the file, not a worker. The last error: {error}"
    return f"It failed {number} times and was given up. The last error: {error}"
