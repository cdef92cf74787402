"""The versions of a video's file: docs/schema.md describes the table."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Max, Q
from django.utils import timezone

from videos.models.catalogue import Video, VideoStatus
from vlog.schema import NOW

FAILED_KEPT = timedelta(days=7)  # a version that could not be made, so that its reason can be read
DELETED_KEPT = 50  # rows of one video whose files are gone


class VersionState(models.TextChoices):
    MAKING = "making", "being made"
    CURRENT = "current", "in use"
    REPLACED = "replaced"
    DELETED = "deleted"


class FileVersionQuerySet(models.QuerySet["FileVersion"]):
    def making(self) -> "FileVersionQuerySet":
        return self.filter(state=VersionState.MAKING)

    def replaced(self) -> "FileVersionQuerySet":
        return self.filter(state=VersionState.REPLACED)

    def with_files(self) -> "FileVersionQuerySet":
        return self.exclude(state=VersionState.DELETED)

    def due(self) -> "FileVersionQuerySet":
        """Return the versions whose files are to be deleted: replaced ones after their time, and failed ones."""
        now = timezone.now()
        kept = timedelta(days=settings.KEEP_REPLACED_DAYS)
        failed = Q(state=VersionState.MAKING, holder__status=VideoStatus.FAILED)
        return self.filter(
            Q(state=VersionState.REPLACED, replaced_at__lte=now - kept)
            | failed & Q(created_at__lte=now - max(kept, FAILED_KEPT))
        )

    def add(self, video: Video, holder: Video | None = None, **columns: Any) -> "FileVersion":
        """Create the next version of a video, which is locked; without a holder it is the current one."""
        last = self.filter(video=video).aggregate(last=Max("number"))["last"] or 0
        state = VersionState.MAKING if holder else VersionState.CURRENT
        deleted = self.filter(video=video, state=VersionState.DELETED).order_by("-number")
        self.filter(pk__in=list(deleted.values_list("pk", flat=True)[DELETED_KEPT:])).delete()
        return self.create(video=video, holder=holder, number=last + 1, state=state, **columns)


class FileVersion(models.Model):
    """One file that a video is or was made of, or one encoding of it.

    making ──▶ current ◀──▶ replaced ──▶ deleted        making ──▶ deleted

    A video without rows has had one version. What belongs to the current version is in the rows of the video. All that
    belongs to another one is in the rows of its holder, a row of `videos` that no list shows: its job, its renditions,
    its audio tracks, and where its package and its original are. So a version is made as a video is, and taking over
    exchanges rows and moves no files (transcoding.steps.file_versions). One that failed stays in the making.
    """

    State = VersionState

    video = models.ForeignKey(Video, models.CASCADE, related_name="file_versions", db_constraint=False, db_index=False)
    number = models.IntegerField(help_text="Counts the versions of the video, from 1")
    holder = models.OneToOneField(
        Video, models.CASCADE, null=True, blank=True, related_name="held_version", db_constraint=False
    )
    state = models.CharField(max_length=10, choices=VersionState)
    source_name = models.CharField(max_length=255, blank=True, default="", db_default="")
    size = models.BigIntegerField(null=True, blank=True, help_text="Bytes of the original; NULL until it was measured")
    created_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    created_at = models.DateTimeField(default=timezone.now, db_default=NOW)
    replaced_at = models.DateTimeField(null=True, blank=True)

    objects = FileVersionQuerySet.as_manager()

    class Meta:
        db_table = "file_versions"
        ordering = ["video_id", "-number"]
        default_permissions = ()  # who may change a video may replace its file
        indexes = [models.Index(fields=["replaced_at"], name="ix_file_versions_replaced_at")]  # due()
        constraints = [
            models.UniqueConstraint(fields=["video", "number"], name="uq_file_versions_number"),
            # One is current, and of two replacements at once the second is refused.
            models.UniqueConstraint(
                fields=["video", "state"],
                condition=Q(state__in=[VersionState.CURRENT, VersionState.MAKING]),
                name="uq_file_versions_state",
            ),
            models.CheckConstraint(condition=Q(state__in=VersionState.values), name="ck_file_versions_state"),
            models.CheckConstraint(condition=Q(number__gte=1), name="ck_file_versions_number"),
            models.CheckConstraint(condition=Q(size__gte=0), name="ck_file_versions_size"),
            models.CheckConstraint(
                condition=Q(state__in=[VersionState.MAKING, VersionState.REPLACED], holder__isnull=False)
                | Q(state__in=[VersionState.CURRENT, VersionState.DELETED], holder=None),
                name="ck_file_versions_state_holder",
            ),
            models.CheckConstraint(
                condition=~Q(state=VersionState.REPLACED) | Q(replaced_at__isnull=False),
                name="ck_file_versions_replaced",
            ),
        ]

    def __str__(self) -> str:
        return f"Version {self.number} of {self.video}"

    def take_over(self, old: Video) -> None:
        """Note that this version is the current one, and that `old` holds the one that was."""
        now = timezone.now()
        current = FileVersion.objects.filter(video=self.video_id, state=VersionState.CURRENT)
        current.update(state=VersionState.REPLACED, holder=old, replaced_at=now)
        self.state, self.holder, self.replaced_at = VersionState.CURRENT, None, None
        self.save(update_fields=["state", "holder", "replaced_at"])

    def delete_files(self) -> None:
        """Note that the files are deleted; the row stays as history."""
        self.state, self.holder = VersionState.DELETED, None
        self.save(update_fields=["state", "holder"])

    @property
    def kept_until(self) -> datetime | None:
        """Return when the files of a replaced version are deleted; None for others."""
        if self.state != VersionState.REPLACED or self.replaced_at is None:
            return None
        return self.replaced_at + timedelta(days=settings.KEEP_REPLACED_DAYS)
