"""Who makes the videos, and the keys that let them: docs/schema.md describes the tables."""

# Nullable text columns are the schema's: NULL says "never set" where '' would be a value.
# ruff: noqa: DJ001

from datetime import timedelta
from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.utils import timezone

# Foreign keys carry db_constraint=False because the migrations write the constraints, with their ON DELETE rules.

SILENT_SECONDS = 90  # without a word: then a worker counts as gone
# What the reason begins with that a worker is held back for.
DRAINED, SET_ASIDE = "drained by", "set aside:"


class WorkerStatus(models.TextChoices):
    ACTIVE = "active"
    OFFLINE = "offline"
    DISABLED = "disabled"


class WorkerType(models.TextChoices):
    LOCAL = "local"
    REMOTE = "remote"


def new_worker_id() -> str:
    """A random UUID in its usual 36 characters."""
    return str(uuid4())


class WorkerQuerySet(models.QuerySet["Worker"]):
    def allowed(self) -> "WorkerQuerySet":
        """Those that may take new work: neither disabled nor held back."""
        return self.filter(held_back=None).exclude(status=WorkerStatus.DISABLED)

    def live(self) -> "WorkerQuerySet":
        """Those that were heard of lately and are not disabled."""
        since = timezone.now() - timedelta(seconds=SILENT_SECONDS)
        return self.filter(status=WorkerStatus.ACTIVE, last_heartbeat__gte=since)

    def mark_stale_offline(self, seconds: int) -> None:
        """Those active ones that have not been heard of for so long; their next word makes them active again."""
        since = timezone.now() - timedelta(seconds=seconds)
        silent = self.filter(status=WorkerStatus.ACTIVE).filter(Q(last_heartbeat=None) | Q(last_heartbeat__lt=since))
        silent.update(status=WorkerStatus.OFFLINE, current_job=None)

    def available(self) -> "WorkerQuerySet":
        """Those that would take new work now."""
        return self.live().allowed()


class Worker(models.Model):
    """A process that claims work: a Celery node (local) or an agent with an API key (remote).

    active ◀──▶ offline      a heartbeat, or none for a while
       │           │
       ▼           ▼
    disabled                 by an operator, who alone enables it again

    `held_back` is apart from that: such a worker lives and finishes what it has.
    """

    Status = WorkerStatus
    Type = WorkerType

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
    held_back = models.TextField(
        null=True, blank=True, help_text="Why it takes no new work although it may finish what it has; NULL: it does"
    )

    objects = WorkerQuerySet.as_manager()

    class Meta:
        db_table = "workers"
        indexes = [
            models.Index(fields=["status"], name="ix_workers_status"),
            models.Index(fields=["last_heartbeat"], name="ix_workers_last_heartbeat"),  # whom to call offline
        ]
        constraints = [
            # One index is both: the schema's UNIQUE and the index that it names.
            models.UniqueConstraint(fields=["worker_id"], name="ix_workers_worker_id"),
            models.CheckConstraint(condition=Q(status__in=WorkerStatus.values), name="ck_workers_status"),
            models.CheckConstraint(condition=Q(worker_type__in=WorkerType.values), name="ck_workers_worker_type"),
        ]

    def __str__(self) -> str:
        return self.worker_name or self.worker_id


class WorkerApiKey(models.Model):
    """A key's SHA-256; the key itself is shown once and kept nowhere. Revoked keys stay, as a record."""

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
