"""The workers that make the videos, and their API keys: docs/schema.md describes the tables."""

# Nullable text columns are the schema's: NULL says "never set" where '' would be a value.
# ruff: noqa: DJ001

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import connection, models
from django.db.models import Case, Q, Value, When
from django.utils import timezone

# Foreign keys carry db_constraint=False because the migrations write the constraints, with their ON DELETE rules.

SILENT_SECONDS = 90  # without a heartbeat, before a worker counts as stale

# Of one key and its worker. The commit does not wait for the disk: after a crash of the database the next call records
# the same again.
RECORD_USE = """
WITH quick AS (SELECT set_config('synchronous_commit', 'off', TRUE)),
     used AS (UPDATE worker_api_keys SET last_used_at = %(now)s WHERE id = %(key)s)
UPDATE workers SET last_heartbeat = %(now)s, status = CASE status WHEN 'offline' THEN 'active' ELSE status END
FROM quick WHERE id = %(worker)s
"""


class WorkerStatus(models.TextChoices):
    ACTIVE = "active"
    OFFLINE = "offline"
    DISABLED = "disabled"


class WorkerType(models.TextChoices):
    LOCAL = "local"
    REMOTE = "remote"


class WorkerHold(models.TextChoices):
    DRAINED = "drained"
    SUSPENDED = "suspended"


def new_worker_id() -> str:
    """Return a random UUID in its usual 36 characters."""
    return str(uuid4())


class WorkerQuerySet(models.QuerySet["Worker"]):
    def allowed(self) -> "WorkerQuerySet":
        """Return the workers that may claim: neither disabled nor drained nor suspended."""
        return self.filter(hold=None).exclude(status=WorkerStatus.DISABLED)

    def live(self) -> "WorkerQuerySet":
        """Return the active workers with a recent heartbeat."""
        since = timezone.now() - timedelta(seconds=SILENT_SECONDS)
        return self.filter(status=WorkerStatus.ACTIVE, last_heartbeat__gte=since)

    def available(self) -> "WorkerQuerySet":
        """Return the workers that would claim now."""
        return self.live().allowed()

    def create_offline(self, name: str) -> "Worker":
        """Create a remote worker that has not been seen yet."""
        return self.create(worker_name=name, status=WorkerStatus.OFFLINE)

    def moved_in(self, *, is_disabled: bool, **facts: Any) -> "Worker":
        """Return the row of a remote worker from another installation, unsaved; it has not been seen here yet."""
        return self.model(status=WorkerStatus.DISABLED if is_disabled else WorkerStatus.OFFLINE, **facts)

    def record_heartbeat(self) -> None:
        """Record that the workers run, which ends `offline`; `disabled` stays."""
        revived = Case(When(status=WorkerStatus.OFFLINE, then=Value(WorkerStatus.ACTIVE)), default="status")
        self.update(last_heartbeat=timezone.now(), status=revived)

    def mark_active(self) -> None:
        """Record that workers run that were offline; `disabled` stays."""
        self.filter(status=WorkerStatus.OFFLINE).update(status=WorkerStatus.ACTIVE)

    def mark_offline(self) -> None:
        """Record that active workers have stopped; their next heartbeat makes them active again."""
        self.filter(status=WorkerStatus.ACTIVE).update(status=WorkerStatus.OFFLINE, current_job=None)

    def mark_stale_offline(self, seconds: int) -> None:
        """Record that the active workers without a heartbeat for so many seconds have stopped."""
        since = timezone.now() - timedelta(seconds=seconds)
        self.filter(Q(last_heartbeat=None) | Q(last_heartbeat__lt=since)).mark_offline()

    def disable(self) -> None:
        self.update(status=WorkerStatus.DISABLED)

    def enable(self) -> None:
        """Allow the workers to claim, whatever prevented it; their next heartbeat makes them active."""
        self.update(hold=None, held_back=None)
        self.filter(status=WorkerStatus.DISABLED).update(status=WorkerStatus.OFFLINE)

    def drain(self, by: str) -> None:
        """Let the workers finish what they have, and claim nothing."""
        self.update(hold=WorkerHold.DRAINED, held_back=f"drained by {by}")

    def suspend(self, reason: str) -> bool:
        """Let the workers claim nothing after failures of their own; False where none of them was allowed to."""
        return bool(self.allowed().update(hold=WorkerHold.SUSPENDED, held_back=f"suspended: {reason}"))


class Worker(models.Model):
    """A process that claims chunks: a Celery node (local) or an agent with an API key (remote).

    active ◀──▶ offline      a heartbeat, or none for a while
       │           │
       ▼           ▼
    disabled                 by an operator, who alone enables it again

    `hold` is independent of the status: a drained or suspended worker runs and finishes what it has.
    """

    Status = WorkerStatus
    Type = WorkerType
    Hold = WorkerHold

    worker_id = models.CharField(max_length=36, default=new_worker_id, editable=False)
    worker_name = models.CharField(max_length=100, null=True, blank=True)
    worker_type = models.CharField(
        max_length=20, choices=WorkerType, default=WorkerType.REMOTE, db_default=WorkerType.REMOTE
    )
    status = models.CharField(
        max_length=20, choices=WorkerStatus, default=WorkerStatus.ACTIVE, db_default=WorkerStatus.ACTIVE
    )
    registered_at = models.DateTimeField(default=timezone.now, editable=False)
    last_heartbeat = models.DateTimeField(null=True, blank=True)
    current_job = models.ForeignKey(
        "transcoding.TranscodingJob",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="current_workers",
        db_constraint=False,
        db_index=False,
    )
    capabilities = models.JSONField(null=True, blank=True)
    metadata = models.JSONField(null=True, blank=True)
    hold = models.CharField(
        max_length=20,
        choices=WorkerHold,
        null=True,
        blank=True,
        help_text="Whether it claims nothing although it may finish what it has; NULL: it claims",
    )
    held_back = models.TextField(null=True, blank=True, help_text="The reason for the hold")

    objects = WorkerQuerySet.as_manager()

    class Meta:
        db_table = "workers"
        indexes = [
            models.Index(fields=["status"], name="ix_workers_status"),
            models.Index(fields=["last_heartbeat"], name="ix_workers_last_heartbeat"),  # mark_stale_offline()
        ]
        constraints = [
            # One index is both: the schema's UNIQUE and the index that it names.
            models.UniqueConstraint(fields=["worker_id"], name="ix_workers_worker_id"),
            models.CheckConstraint(condition=Q(status__in=WorkerStatus.values), name="ck_workers_status"),
            models.CheckConstraint(condition=Q(worker_type__in=WorkerType.values), name="ck_workers_worker_type"),
            models.CheckConstraint(
                condition=Q(hold=None, held_back=None)
                | Q(hold__isnull=False, hold__in=WorkerHold.values, held_back__isnull=False),
                name="ck_workers_hold",
            ),
        ]

    def __str__(self) -> str:
        return self.worker_name or self.worker_id


class WorkerApiKey(models.Model):
    """The SHA-256 of an API key; the key itself is shown once and not stored. Revoked keys are kept as a record."""

    worker = models.ForeignKey(Worker, models.CASCADE, related_name="api_keys", db_constraint=False, db_index=False)
    key_hash = models.CharField(max_length=64)
    key_prefix = models.CharField(max_length=8)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "worker_api_keys"
        verbose_name = "worker API key"
        indexes = [
            models.Index(fields=["key_prefix"], name="ix_worker_api_keys_key_prefix"),  # authentication
            models.Index(fields=["worker"], name="ix_worker_api_keys_worker_id"),
        ]

    def __str__(self) -> str:
        return f"{self.key_prefix}…"

    def record_use(self, now: datetime) -> None:
        """Record that the key was used and that its worker runs, in one statement."""
        with connection.cursor() as cursor:
            cursor.execute(RECORD_USE, {"now": now, "key": self.pk, "worker": self.worker_id})
