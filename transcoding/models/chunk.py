"""The chunks of a job: docs/schema.md describes the table."""

# Nullable text columns are the schema's: NULL says "never set" where '' would be a value.
# ruff: noqa: DJ001

from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import F, OuterRef, Q, Subquery
from django.utils import timezone

from transcoding.models.attempt import Attempt
from transcoding.models.job import TranscodingJob
from transcoding.models.states import (
    LEASE_EXPIRED,
    POST_PUBLISH,
    TRANSCRIBED,
    ChunkKind,
    ChunkStatus,
    Outcome,
    Priority,
    given_up,
)
from videos.models import Transcription, TranscriptionQuerySet
from workers.models import Worker


class ChunkQuerySet(models.QuerySet["TranscodingChunk"]):
    def open(self) -> "ChunkQuerySet":
        """Return the chunks that are pending or running."""
        return self.filter(status__in=[ChunkStatus.PENDING, ChunkStatus.RUNNING])

    def running(self) -> "ChunkQuerySet":
        return self.filter(status=ChunkStatus.RUNNING)

    def encoding(self) -> "ChunkQuerySet":
        """Return the chunks that the publication waits for: captions and the storyboard come afterwards."""
        return self.exclude(kind__in=POST_PUBLISH)

    def transcriptions(self) -> "ChunkQuerySet":
        return self.filter(kind__in=TRANSCRIBED)

    def expired(self) -> "ChunkQuerySet":
        """Return the running chunks whose lease has expired."""
        return self.running().filter(lease_expires_at__lt=timezone.now())

    def not_archived(self) -> "ChunkQuerySet":
        """Return the chunks of videos outside the archive; the others wait until their video is restored."""
        return self.filter(job__video__deleted_at=None)

    def claimable(self) -> "ChunkQuerySet":
        # A subquery for each chunk: with a join, PostgreSQL reads through all videos before the first chunk.
        alive = TranscodingJob.objects.filter(pk=OuterRef("job"), video__deleted_at=None)
        return self.filter(status=ChunkStatus.PENDING, restarting=False, job=Subquery(alive.values("pk")))

    def in_order_of_work(self) -> "ChunkQuerySet":
        """Return demanded chunks first, then those of jobs that editors moved to the front.

        Then comes the first chunk of every video before the second of any, then retries.
        """
        return self.order_by("priority", "place", "index", "job_id", "tier", "first_segment")

    def demanded(self) -> "ChunkQuerySet":
        """Return the pending chunks that a viewer waits for."""
        return self.filter(priority=Priority.DEMANDED, status=ChunkStatus.PENDING)

    def in_tier_of(self, chunk: "TranscodingChunk") -> "ChunkQuerySet":
        """Return the chunks of the same job, kind and tier, which together make the same renditions."""
        return self.filter(job=chunk.job_id, kind=chunk.kind, tier=chunk.tier)

    def held_by(self, worker: Worker, chunk: int, attempt: int) -> "ChunkQuerySet":
        """Return the one chunk, as long as this attempt is the newest, runs and is this worker's.

        Every write after a claim goes through it.
        """
        return self.filter(pk=chunk, attempt=attempt, worker=worker, status=ChunkStatus.RUNNING)

    def complete(self) -> int:
        """Complete the chunks and their attempts; returns the number of chunks."""
        done: dict[str, Any] = {"status": ChunkStatus.COMPLETED, "completed_at": timezone.now()}
        done |= {"lease_expires_at": None, "error": None}
        return len(self._end(Outcome.COMPLETED, done))

    def release(self, outcome: Outcome = Outcome.RELEASED, reason: str = "") -> int:
        """Return the chunks to the queue without spending an attempt; returns their number."""
        back = {"status": ChunkStatus.PENDING, "worker": None, "lease_expires_at": None}
        chunks = self._end(outcome, back, reason)
        for chunk in chunks:
            chunk.wait_again()
        return len(chunks)

    def move(self, place: int) -> None:
        """Give the chunks the place of their job; retries wait for no others any more."""
        self.update(place=place)
        self.filter(priority=Priority.RETRY).update(priority=Priority.NORMAL)

    def cancel(self) -> int:
        """Cancel the open chunks; returns their number."""
        return len(self.open()._end(Outcome.CANCELLED, {"status": ChunkStatus.CANCELLED, "lease_expires_at": None}))

    def reset(self, reason: str = "", priority: Priority = Priority.NORMAL) -> int:
        """Return the chunks to the queue as if no worker had ever had them; attempts that run are cancelled.

        Only `attempt` goes on counting, because it is the fence. Returns the number of chunks.
        """
        fresh: dict[str, Any] = dict.fromkeys(("worker", "error", "lease_expires_at", "started_at", "completed_at"))
        fresh |= {"status": ChunkStatus.PENDING, "priority": priority, "failures": 0, "delivered": False}
        return len(self._end(Outcome.CANCELLED, fresh, reason))

    def _end(self, outcome: Outcome, columns: dict[str, Any], error: str = "") -> list["TranscodingChunk"]:
        """Write columns of the chunks and close their running attempts, in one transaction."""
        with transaction.atomic():
            locked = self.select_for_update(of=("self",), no_key=True).only("pk", "kind", "job")
            chunks: list[TranscodingChunk] = list(locked)
            if chunks:
                TranscodingChunk.objects.filter(pk__in=[chunk.pk for chunk in chunks]).update(**columns)
                Attempt.objects.filter(chunk__in=chunks).end(outcome, error)
            return chunks


class TranscodingChunk(models.Model):
    """A run of segments in all rungs of one tier, which one worker makes in one go.

    pending ──claim──▶ running ──complete──▶ completed
       ▲                  │ ├──fail────────▶ failed        attempts spent
       └─release, expire──┘ └──cancel──────▶ cancelled
       ◀──────────reset────────────────────  from every state

    `attempt` counts the claims and is the fence: every write names it, and changes nothing where it is not the newest.
    `failures` counts the attempts spent. `last_segment` is inclusive.

    `restarting`: no worker can continue the tier, and its segments are about to be removed; `restarted_at`: when that
    was done, which happens once.
    """

    job = models.ForeignKey(TranscodingJob, models.CASCADE, related_name="chunks", db_constraint=False, db_index=False)
    kind = models.CharField(max_length=20, choices=ChunkKind, default=ChunkKind.VIDEO, db_default=ChunkKind.VIDEO)
    tier = models.IntegerField(default=0, db_default=0)
    priority = models.SmallIntegerField(choices=Priority, default=Priority.NORMAL, db_default=Priority.NORMAL)
    place = models.SmallIntegerField(default=0, db_default=0, editable=False, help_text="That of its job")
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
    restarting = models.BooleanField(default=False, db_default=False, editable=False)
    restarted_at = models.DateTimeField(null=True, blank=True, editable=False)
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
            # The claim: the first pending chunk of a kind in the order of work, FOR UPDATE SKIP LOCKED. The index is
            # as small as the remaining work, however many chunks are complete or running.
            models.Index(
                fields=["kind", "priority", "place", "index", "job", "tier", "first_segment"],
                name="ix_transcoding_chunks_claim",
                condition=Q(status=ChunkStatus.PENDING),
            ),
            models.Index(  # expired leases
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
            models.CheckConstraint(condition=Q(place__lte=0), name="ck_transcoding_chunks_place"),
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
        """End before a segment and return a new chunk with the rest. Call it with the job and this row locked."""
        copied = ("job_id", "kind", "tier", "place", "index", "last_segment", "restarting", "restarted_at")
        rest = TranscodingChunk(
            **{name: getattr(self, name) for name in copied}, first_segment=segment, priority=priority
        )
        self.last_segment = segment - 1
        self.save(update_fields=["last_segment"])
        rest.save(force_insert=True)
        Attempt.objects.running().filter(chunk=self).update(last_segment=self.last_segment)
        return rest

    def absorb_next(self) -> None:
        """Join the following chunk to this one, unless a worker has begun it. Call it with the job locked."""
        following = TranscodingChunk.objects.in_tier_of(self).filter(first_segment=self.last_segment + 1, attempt=0)
        if (chunk := following.first()) is not None:
            self.last_segment = chunk.last_segment
            self.save(update_fields=["last_segment"])
            chunk.delete()

    def expire(self) -> None:
        """Return a chunk whose lease has expired to the queue; spends an attempt unless a segment was delivered.

        A worker that dies later than that has made progress.
        """
        with transaction.atomic():
            self.job.lock()
            expired = TranscodingChunk.objects.expired().select_for_update(of=("self",)).select_related("job__video")
            chunk = expired.filter(pk=self.pk).first()
            if chunk is None:
                return  # another process was faster, or the worker has reported after all
            Worker.objects.filter(worker_id=chunk.worker_id, current_job=chunk.job_id).update(current_job=None)
            agent = Worker.objects.filter(worker_id=chunk.worker_id, worker_type=Worker.Type.REMOTE)
            agent.mark_stale_offline(settings.LEASE_SECONDS)  # so that no worker leaves the chunk to it
            if chunk.delivered or chunk.job.video.deleted_at is not None:
                TranscodingChunk.objects.filter(pk=chunk.pk).release(Outcome.LOST, LEASE_EXPIRED)
            else:
                chunk.spend_attempt(f"{LEASE_EXPIRED} before it delivered anything", Outcome.LOST)

    def spend_attempt(self, error: str, outcome: Outcome = Outcome.FAILED, *, final: bool = False) -> None:
        """Count a failure and close the attempt; the last failure allowed fails the video.

        So does a final one, after which another attempt would end the same way, if it is confirmed. A failed
        transcription or storyboard leaves the video as it is. Call it with the job and this row locked.
        """
        is_confirmed = final and self._is_confirmed()
        Attempt.objects.filter(chunk=self).end(outcome, error, final=final)
        self.failures, self.error = self.failures + 1, error
        is_over = is_confirmed or self.failures >= self.job.max_attempts
        self.status = ChunkStatus.FAILED if is_over else ChunkStatus.PENDING
        if outcome == Outcome.FAILED and not self.place:  # an editor wants the others to wait for the whole job
            self.priority = Priority.RETRY
        self.lease_expires_at = None
        self.save(update_fields=["failures", "error", "status", "lease_expires_at", "priority"])
        message = error if self.kind in POST_PUBLISH else f"{self}: {error}"
        reason = self._given_up(message) if is_over and not is_confirmed else message
        if self.kind not in POST_PUBLISH:
            self.job.note_failure(self.failures, message)
            if is_over:
                self.job.fail(reason)
        elif is_over:
            self.transcription().fail(reason)
            TranscodingChunk.objects.filter(job=self.job_id, kind__in=TRANSCRIBED).cancel()  # the other parts
        else:
            self.wait_again(error)

    def _is_confirmed(self) -> bool:
        """Return whether a final failure is believed: that of a node, or after that of another remote worker."""
        if self.worker is not None and self.worker.worker_type == Worker.Type.LOCAL:
            return True
        return any(attempt.final and attempt.worker_id != self.worker_id for attempt in self._spent())

    def _spent(self) -> list[Attempt]:
        """Return the attempts spent since the chunk was last reset, the newest first."""
        return list(Attempt.objects.spent().filter(chunk=self).order_by("-number")[: self.failures])

    def _given_up(self, error: str) -> str:
        """Return the message for the editor; only failures show that the file is at fault, expired leases do not."""
        failed_on = [attempt.worker_name for attempt in reversed(self._spent()) if attempt.outcome == Outcome.FAILED]
        return given_up(self.failures, error, list(dict.fromkeys(failed_on)))

    def wait_again(self, error: str | None = None) -> None:
        """Note in the transcription that this chunk waits for a worker; error: why the last one failed."""
        if self.kind != ChunkKind.SPEECH:
            self.transcription().reset(error)
        elif not TranscodingChunk.objects.running().filter(job=self.job_id, kind=ChunkKind.SPEECH).exists():
            self.transcription().pause(error)

    def transcription(self) -> TranscriptionQuerySet:
        """Return the transcription that this chunk is to make; none of another kind of chunk."""
        if self.kind not in TRANSCRIBED:
            return Transcription.objects.none()
        return Transcription.objects.filter(video__job=self.job_id)
