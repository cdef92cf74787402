"""The chunks of a job: docs/schema.md describes the table."""

# Nullable text columns are the schema's: NULL says "never set" where '' would be a value.
# ruff: noqa: DJ001

from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, OuterRef, Q, Subquery
from django.utils import timezone

from transcoding.models.attempt import Attempt, Outcome
from transcoding.models.job import TranscodingJob
from transcoding.models.states import POST_PUBLISH, SILENT, ChunkKind, ChunkStatus, Priority, given_up
from videos.models import Transcription
from workers.models import Worker


class ChunkQuerySet(models.QuerySet["TranscodingChunk"]):
    def open(self) -> "ChunkQuerySet":
        """Those that somebody works on or has yet to."""
        return self.filter(status__in=[ChunkStatus.PENDING, ChunkStatus.RUNNING])

    def encoding(self) -> "ChunkQuerySet":
        """Those that a video cannot be published without: it is heard and drawn afterwards."""
        return self.exclude(kind__in=POST_PUBLISH)

    def transcriptions(self) -> "ChunkQuerySet":
        return self.filter(kind=ChunkKind.TRANSCRIPTION)

    def expired(self) -> "ChunkQuerySet":
        """Those whose worker has not been heard of for the time of a lease."""
        return self.filter(status=ChunkStatus.RUNNING, lease_expires_at__lt=timezone.now())

    def not_archived(self) -> "ChunkQuerySet":
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
            agent.mark_stale_offline(settings.LEASE_SECONDS)  # so that nobody leaves the piece to it
            if chunk.delivered or chunk.job.video.deleted_at is not None:
                chunk.release()
            else:
                chunk.spend_attempt(f"{SILENT} before it delivered anything")

    def release(self) -> None:
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
        if self.kind not in POST_PUBLISH:
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
