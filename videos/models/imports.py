"""Files that are fetched from addresses: docs/schema.md describes the table."""

import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, models, transaction
from django.db.models import Q
from django.utils import timezone

from videos.models.uploads import Upload
from vlog.schema import NOW

ADDRESS_LENGTH = 4000  # characters
MAX_UNFINISHED = 200  # of one account
AT_ONCE = 1  # transfers of a site: the queue `tasks` has other work, too
LEASE = timedelta(seconds=60)
KEPT_ROWS = 500  # of one account
KEPT = timedelta(days=30)  # a row that has ended
WAITS = (10, 30, 60, 300, 900, 1800, 3600, 3600)  # seconds before each further try without a new byte
TURN = 0x66657463  # the number of the advisory lock under which a transfer is claimed


class ImportKind(models.TextChoices):
    HTTP = "http", "file"
    STORE = "store", "object"
    PAGE = "page", "page"
    FOLDER = "folder", "file of a folder"


class ImportState(models.TextChoices):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = (ImportState.WAITING, ImportState.RUNNING)


class ImportQuerySet(models.QuerySet["Import"]):
    def of(self, owner: User) -> "ImportQuerySet":
        """The imports of an account: no other account sees them."""
        return self.filter(owner=owner)

    def unfinished(self) -> "ImportQuerySet":
        return self.filter(state__in=UNFINISHED)

    def due(self) -> bool:
        """Whether an import waits for its turn."""
        return self.filter(state=ImportState.WAITING, next_at__lte=timezone.now()).exists()

    def claim(self) -> "Import | None":
        """Begin the import that waits longest, or one whose process was killed; None without one, or beside others."""
        now = timezone.now()
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [TURN])
            if self.filter(state=ImportState.RUNNING, leased_until__gt=now).count() >= AT_ONCE:
                return None
            ready = Q(state=ImportState.WAITING, next_at__lte=now) | Q(state=ImportState.RUNNING, leased_until__lte=now)
            row = self.filter(ready).order_by("next_at", "created_at").first()
            if row is not None:
                row.begin(now)
            return row

    def forget_oldest(self) -> None:
        """Delete the oldest of the rows that have ended, beyond KEPT_ROWS. Call it for one account."""
        ended = self.exclude(state__in=UNFINISHED).order_by("-created_at")
        Import.objects.filter(pk__in=list(ended.values_list("pk", flat=True)[KEPT_ROWS:])).delete()

    def prune(self) -> int:
        """Delete the rows that ended long ago; returns their number."""
        ended = self.exclude(state__in=UNFINISHED).filter(finished_at__lte=timezone.now() - KEPT)
        return ended.delete()[0]


class Import(models.Model):
    """A file at an address, on its way to become a video.

    waiting ──▶ running ──▶ done
      ▲  ▲         │
      │  └─────────┤ interrupted, or the turn of another one
      │            ▼
      └─ retry ── failed        waiting, running ──▶ cancelled

    The bytes are those of an upload, which is begun when the size is known. Each write of a running transfer is guarded
    by its attempt.
    """

    Kind, State = ImportKind, ImportState

    key = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="imports", db_constraint=False, db_index=False
    )
    address = models.CharField(max_length=ADDRESS_LENGTH)
    kind = models.CharField(max_length=10, choices=ImportKind)
    state = models.CharField(
        max_length=10, choices=ImportState, default=ImportState.WAITING, db_default=ImportState.WAITING
    )
    details = models.JSONField(default=dict, help_text="What its video will be called, as an upload has it")
    via = models.CharField(max_length=10, help_text="From where it was asked for, for the audit log")
    name = models.CharField(max_length=255, blank=True, default="", db_default="")
    validator = models.CharField(
        max_length=200, blank=True, default="", db_default="", help_text="Names the state of the file, for its rest"
    )
    upload = models.OneToOneField(
        Upload, models.SET_NULL, null=True, blank=True, related_name="imported", db_constraint=False
    )
    # No foreign key: the row outlives its video, as that of an upload does.
    video_id = models.IntegerField(null=True, blank=True)
    attempt = models.IntegerField(default=0, db_default=0, help_text="Counts how often it was begun")
    tries = models.IntegerField(default=0, db_default=0, help_text="Since the last new byte")
    error = models.TextField(blank=True, default="", db_default="")
    notes = models.TextField(blank=True, default="", db_default="", help_text="What was left out, a sentence a line")
    next_at = models.DateTimeField(default=timezone.now, db_default=NOW)
    leased_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_default=NOW)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ImportQuerySet.as_manager()

    class Meta:
        db_table = "imports"
        default_permissions = ()  # who may add videos may import them
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["owner", "created_at"], name="ix_imports_owner_id"),  # the list of an account
            models.Index(fields=["next_at"], name="ix_imports_next_at", condition=Q(state__in=UNFINISHED)),  # claim()
        ]
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=ImportKind.values), name="ck_imports_kind"),
            models.CheckConstraint(condition=Q(state__in=ImportState.values), name="ck_imports_state"),
            models.CheckConstraint(condition=Q(attempt__gte=0, tries__gte=0), name="ck_imports_counts"),
            models.CheckConstraint(
                condition=Q(state=ImportState.RUNNING, leased_until__isnull=False)
                | ~Q(state=ImportState.RUNNING) & Q(leased_until=None),
                name="ck_imports_lease",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.address.partition("?")[0]

    @property
    def is_unfinished(self) -> bool:
        return self.state in UNFINISHED

    def begin(self, now: Any) -> None:
        """Begin an attempt. Call it in the transaction of the claim."""
        self.state, self.attempt, self.leased_until = ImportState.RUNNING, self.attempt + 1, now + LEASE
        self.save(update_fields=["state", "attempt", "leased_until"])

    def renew(self) -> bool:
        """Go on for another minute; False where it was cancelled, or another process has it."""
        return self._write(leased_until=timezone.now() + LEASE)

    def note(self, **columns: Any) -> bool:
        """Note what is known of the file: its name, its validator, its upload."""
        return self._write(**columns)

    def wait(self, seconds: int = 0, error: str = "", tries: int = 0) -> bool:
        """Let others go first, or try again later. error: why."""
        later = timezone.now() + timedelta(seconds=seconds)
        return self._end(ImportState.WAITING, next_at=later, error=error, tries=tries)

    def finish(self, video_id: int | None, notes: str = "") -> bool:
        columns = {"video_id": video_id, "notes": notes, "error": "", "finished_at": timezone.now()}
        return self._end(ImportState.DONE, **columns)

    def fail(self, error: str) -> bool:
        return self._end(ImportState.FAILED, error=error, upload=None, finished_at=timezone.now())

    def cancel(self) -> bool:
        """End it at the wish of its owner; False where it has ended."""
        rows = Import.objects.unfinished().filter(pk=self.pk)
        ended = {"leased_until": None, "finished_at": timezone.now(), "error": ""}
        return bool(rows.update(state=ImportState.CANCELLED, **ended))

    def retry(self) -> bool:
        """Begin again after a failure; False where it has not failed."""
        rows = Import.objects.filter(pk=self.pk, state__in=[ImportState.FAILED, ImportState.CANCELLED])
        fresh = {"next_at": timezone.now(), "tries": 0, "error": "", "finished_at": None, "upload": None}
        return bool(rows.update(state=ImportState.WAITING, **fresh))

    def _end(self, state: str, **columns: Any) -> bool:
        return self._write(state=state, leased_until=None, **columns)

    def _write(self, **columns: Any) -> bool:
        """Write columns of a running attempt; False where it is no longer this one's."""
        mine = Import.objects.filter(pk=self.pk, state=ImportState.RUNNING, attempt=self.attempt)
        if not mine.update(**columns):
            return False
        for name, value in columns.items():
            setattr(self, name, value)
        return True
