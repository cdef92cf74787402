"""The record of attempts: which worker claimed which chunk, when, and how that ended.

The claim opens a row; the method that changes the chunk closes it, in the same transaction.
"""

from datetime import timedelta

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from transcoding.models.states import Outcome
from vlog import counters
from workers.models import Worker

# Foreign keys carry db_constraint=False because the migrations write the constraints, with their ON DELETE rules.

ERROR_LENGTH = 500  # characters of the message that lists show
SECOND_OPINION = timedelta(minutes=10)  # for which a chunk is left to others after a final failure
LOG_LENGTH = 4000  # characters of the end of an encoder's log


class AttemptQuerySet(models.QuerySet["Attempt"]):
    def running(self) -> "AttemptQuerySet":
        return self.filter(outcome=Outcome.RUNNING)

    def spent(self) -> "AttemptQuerySet":
        """Return the attempts that count: failed, or lost before anything was delivered."""
        return self.filter(Q(outcome=Outcome.FAILED) | Q(outcome=Outcome.LOST, seconds=0))

    def incompatible(self) -> "AttemptQuerySet":
        """Return the attempts of workers that could not continue what another encoder began."""
        return self.filter(outcome=Outcome.INCOMPATIBLE)

    def unconfirmed(self) -> "AttemptQuerySet":
        """Return the final failures of the last minutes, for which a second worker is awaited."""
        return self.filter(final=True, chunk__failures__gt=0, ended_at__gt=timezone.now() - SECOND_OPINION)

    def end(self, outcome: Outcome, error: str = "", *, final: bool = False) -> None:
        """Close the running attempts; of a long error, the first line and the end are kept."""
        text = error.replace("\0", "").strip()  # PostgreSQL takes no NUL, and a log may hold anything
        first, _, more = text.partition("\n")
        ended = self.running().update(
            outcome=outcome,
            final=final,
            ended_at=timezone.now(),
            error=first[:ERROR_LENGTH] or None,
            log_tail=text[-LOG_LENGTH:] if more or len(first) > ERROR_LENGTH else "",
        )
        counters.add_after_commit(f"attempts {outcome.value}", ended)

    def add_seconds(self, seconds: float) -> None:
        """Add to the seconds of video that the running attempts have made."""
        self.running().update(seconds=F("seconds") + seconds)


class Attempt(models.Model):
    """One claim of one chunk.

    running ──▶ completed | failed | cancelled
            ──▶ lost            the worker stopped reporting
            ──▶ given_back      released, because the worker stops or an operator revoked the chunk
            ──▶ incompatible    released, because another encoder began the rendition

    `seconds` counts what was made of the video: a segment in one of three rungs counts as a third of its duration.
    The chunk's kind, tier and segments are repeated here, because the record outlives the chunk.
    """

    job = models.ForeignKey(
        "transcoding.TranscodingJob", models.CASCADE, related_name="attempts", db_constraint=False, db_index=False
    )
    chunk = models.ForeignKey(
        "transcoding.TranscodingChunk",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="attempts",
        db_constraint=False,
        db_index=False,
    )
    kind = models.CharField(max_length=20)
    tier = models.IntegerField(default=0, db_default=0)
    first_segment = models.IntegerField(default=0, db_default=0)
    last_segment = models.IntegerField(default=0, db_default=0)
    number = models.IntegerField(help_text="The chunk's attempt, from 1")
    worker = models.ForeignKey(
        Worker,
        models.SET_NULL,
        to_field="worker_id",
        null=True,
        blank=True,
        related_name="attempts",
        db_constraint=False,
        db_index=False,
    )
    worker_name = models.CharField(max_length=100, default="", db_default="", help_text="Outlives the worker")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=20, choices=Outcome, default=Outcome.RUNNING, db_default=Outcome.RUNNING)
    final = models.BooleanField(
        default=False, db_default=False, help_text="Whether the worker said that another attempt would fail, too"
    )
    seconds = models.FloatField(default=0.0, db_default=0.0)
    error = models.TextField(null=True, blank=True)  # noqa: DJ001 - NULL: nothing went wrong
    log_tail = models.TextField(default="", db_default="", blank=True)

    objects = AttemptQuerySet.as_manager()

    class Meta:
        db_table = "transcoding_attempts"
        indexes = [
            models.Index(fields=["job"], name="ix_transcoding_attempts_job_id"),
            models.Index(fields=["started_at"], name="ix_transcoding_attempts_start"),  # the workers' speed
            # The last attempts of a worker, and its figures.
            models.Index(fields=["worker", "started_at"], name="ix_transcoding_attempts_worker"),
            models.Index(  # the claim: whether the worker is incompatible with a tier
                fields=["job", "worker"], name="ix_attempts_incompatible", condition=Q(outcome=Outcome.INCOMPATIBLE)
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["chunk", "number"], name="uq_attempt"),
            models.CheckConstraint(condition=Q(outcome__in=Outcome.values), name="ck_transcoding_attempts_outcome"),
            models.CheckConstraint(
                condition=Q(first_segment__gte=0, last_segment__gte=F("first_segment")),
                name="ck_transcoding_attempts_segments",
            ),
            models.CheckConstraint(
                condition=Q(tier__gte=0, number__gte=1, seconds__gte=0), name="ck_transcoding_attempts_counts"
            ),
            models.CheckConstraint(
                condition=Q(outcome=Outcome.RUNNING, ended_at=None)
                | (~Q(outcome=Outcome.RUNNING) & Q(ended_at__isnull=False)),
                name="ck_transcoding_attempts_end",
            ),
            models.CheckConstraint(
                condition=Q(final=False) | Q(outcome=Outcome.FAILED), name="ck_transcoding_attempts_final"
            ),
        ]

    def __str__(self) -> str:
        return f"Attempt {self.number} by {self.worker_name}: {self.get_outcome_display()}"
