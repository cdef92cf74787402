"""What editors keep of the list of videos: saved views, and the edits of many videos at once."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q, Value
from django.utils import timezone

from videos.models.catalogue import Video
from vlog.schema import NOW

MAX_VIEWS = 30  # of one person


class SavedView(models.Model):
    """A search, filters and an order of the list of videos, under a name that one person gave it."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="saved_views", db_constraint=False, db_index=False
    )
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000, help_text="The part of the list's address after the question mark")

    class Meta:
        db_table = "saved_views"
        default_permissions = ()  # each person has their own
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="uq_saved_views_user_id_name")]

    def __str__(self) -> str:
        return self.name


class BulkAction(models.TextChoices):
    VISIBILITY = "visibility"
    CATEGORY = "category"
    ADD_TAGS = "add_tags"
    REMOVE_TAGS = "remove_tags"
    ADD_TO_PLAYLIST = "add_to_playlist"
    REMOVE_FROM_PLAYLIST = "remove_from_playlist"
    FEATURE = "feature"
    UNFEATURE = "unfeature"
    TRANSCRIBE = "transcribe"
    ENCODE = "encode"
    ARCHIVE = "archive"


class BulkState(models.TextChoices):
    PENDING = "pending"
    CHANGED = "changed"
    SKIPPED = "skipped"
    RESTORED = "restored"


class BulkEditQuerySet(models.QuerySet["BulkEdit"]):
    def unfinished(self) -> "BulkEditQuerySet":
        return self.filter(finished_at=None)


class BulkEdit(models.Model):
    """One action on many videos. `finished_at` is NULL while videos remain, and again while it is undone."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, db_constraint=False, db_index=False)
    action = models.CharField(max_length=20, choices=BulkAction)
    parameters = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    created_at = models.DateTimeField(default=timezone.now, db_default=NOW)
    finished_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    objects = BulkEditQuerySet.as_manager()

    class Meta:
        db_table = "bulk_edits"
        default_permissions = ()  # who may change videos may change many
        indexes = [
            models.Index(fields=["id"], name="ix_bulk_edits_unfinished", condition=Q(finished_at=None)),  # the sweep
            models.Index(fields=["user", "created_at"], name="ix_bulk_edits_user_id"),  # those that a person may undo
        ]
        constraints = [
            models.CheckConstraint(condition=Q(action__in=BulkAction.values), name="ck_bulk_edits_action"),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} of many videos"

    def finish(self) -> None:
        BulkEdit.objects.filter(pk=self.pk).update(finished_at=timezone.now())

    def begin_undo(self) -> bool:
        """Note that the edit is undone; False where it still runs, or was undone before."""
        done = BulkEdit.objects.filter(pk=self.pk, undone_at=None, finished_at__isnull=False)
        return bool(done.update(undone_at=timezone.now(), finished_at=None))


class BulkItemQuerySet(models.QuerySet["BulkItem"]):
    def left(self, edit: BulkEdit) -> "BulkItemQuerySet":
        """Return the rows of an edit that are still to be worked on."""
        state = BulkState.CHANGED if edit.undone_at else BulkState.PENDING
        return self.filter(edit=edit, state=state)


class BulkItem(models.Model):
    """A video of a bulk edit.

    pending ──▶ changed ──▶ restored   or skipped, where `reason` says why
       └──────▶ skipped

    `version` is the one that the list showed, NULL for a video that it did not show. `before` holds what is needed to
    put back what the edit has changed.
    """

    edit = models.ForeignKey(BulkEdit, models.CASCADE, related_name="items", db_constraint=False, db_index=False)
    video = models.ForeignKey(Video, models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    version = models.IntegerField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=BulkState, default=BulkState.PENDING, db_default=BulkState.PENDING)
    before = models.JSONField(null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True, default="", db_default="")

    objects = BulkItemQuerySet.as_manager()

    class Meta:
        db_table = "bulk_edit_items"
        default_permissions = ()
        indexes = [
            models.Index(fields=["edit", "state"], name="ix_bulk_edit_items_edit_id"),  # those that are left
            models.Index(fields=["video"], name="ix_bulk_edit_items_video_id"),  # ON DELETE
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=BulkState.values), name="ck_bulk_edit_items_state"),
        ]

    def __str__(self) -> str:
        return f"{self.video}: {self.state}"

    def change(self, before: Any) -> None:
        self._write(BulkState.CHANGED, before=before)

    def skip(self, reason: str) -> None:
        self._write(BulkState.SKIPPED, reason=reason[:300])

    def restore(self) -> None:
        self._write(BulkState.RESTORED)

    def _write(self, state: BulkState, **columns: Any) -> None:
        BulkItem.objects.filter(pk=self.pk).update(state=state, **columns)
