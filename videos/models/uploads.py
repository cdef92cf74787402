"""Files on their way to the site: docs/schema.md describes the table."""

import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, models
from django.db.models import F, Q, Sum
from django.utils import timezone

from videos.models.categories import Category
from vlog.schema import NOW

KEPT = timedelta(days=7)  # without a new byte
VISIBILITIES = ("private", "unlisted", "public")  # that an upload may name; a password is set afterwards


def expiry() -> Any:
    """Return when an upload expires that gets no byte from now on."""
    return timezone.now() + KEPT


class UploadQuerySet(models.QuerySet["Upload"]):
    def of(self, owner: User) -> "UploadQuerySet":
        """The uploads of an account that have not expired. No other account may see or continue them."""
        return self.filter(owner=owner, expires_at__gt=timezone.now())

    def unfinished(self) -> "UploadQuerySet":
        return self.filter(finished_at=None)

    def expired(self) -> "UploadQuerySet":
        return self.filter(expires_at__lte=timezone.now())

    def with_files(self) -> "UploadQuerySet":
        """The uploads with a file in the uploads folder: unfinished ones, and sidecars that wait for their video."""
        return self.filter(Q(finished_at=None) | Q(video_id=None))

    def beside(self, upload: "Upload") -> "UploadQuerySet":
        """This upload, and those of its batch."""
        if not upload.batch:
            return self.filter(pk=upload.pk)
        return self.filter(owner=upload.owner_id, batch=upload.batch)

    def announced_bytes(self) -> int:
        """Return the bytes that are still to come and could not be allocated on the disk."""
        rows = self.unfinished().filter(allocated=False, expires_at__gt=timezone.now())
        return int(rows.aggregate(total=Sum(F("size") - F("offset")))["total"] or 0)


class Upload(models.Model):
    """A file that an account sends in pieces, and what its video will be called.

    unfinished ──▶ finished     all bytes are here: the file is a video's, or a sidecar that waits for its video

    The size of the file on the disk is the offset; the column has that of the end of the last request. A finished row
    is kept until it expires, so that a client that missed the last answer learns of its video.
    """

    key = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="uploads", db_constraint=False, db_index=False
    )
    name = models.CharField(max_length=255, blank=True, default="", db_default="")
    # With the name and the size it says which file this is: browsers and `manage.py upload` send its time of change.
    fingerprint = models.CharField(max_length=100, blank=True, default="", db_default="")
    batch = models.CharField(max_length=64, blank=True, default="", db_default="", help_text="Chosen together")
    size = models.BigIntegerField()
    offset = models.BigIntegerField(default=0, db_default=0)
    unverified = models.BooleanField(
        default=False, db_default=False, help_text="What the file has behind the offset may not match its checksum"
    )
    allocated = models.BooleanField(default=False, db_default=False)
    title = models.CharField(max_length=255, blank=True, default="", db_default="")
    description = models.TextField(blank=True, default="", db_default="")
    visibility = models.CharField(max_length=10, blank=True, default="", db_default="")
    category = models.ForeignKey(
        Category, models.SET_NULL, null=True, blank=True, related_name="+", db_constraint=False, db_index=False
    )
    tags = models.CharField(max_length=1000, blank=True, default="", db_default="", help_text="Separated by commas")
    language = models.CharField(max_length=35, blank=True, default="", db_default="")
    publish_early = models.BooleanField(default=False, db_default=False)
    downloads = models.BooleanField(default=False, db_default=False)
    replaces = models.ForeignKey(
        "videos.Video",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text="The video whose file this replaces",
    )
    # Chosen before the file is moved, so that a process that is killed leaves it where it is found. No foreign key.
    video_id = models.IntegerField(null=True, blank=True)
    notes = models.TextField(blank=True, default="", db_default="", help_text="What was left out, a sentence a line")
    created_at = models.DateTimeField(default=timezone.now, db_default=NOW)
    expires_at = models.DateTimeField(default=expiry)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = UploadQuerySet.as_manager()

    class Meta:
        db_table = "uploads"
        default_permissions = ()  # who may add videos has uploads
        indexes = [
            models.Index(fields=["owner", "created_at"], name="ix_uploads_owner_id"),  # the list of an account
            models.Index(fields=["expires_at"], name="ix_uploads_expires_at"),  # the purge
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(size__gt=0, offset__gte=0, offset__lte=F("size")), name="ck_uploads_bytes"
            ),
            models.CheckConstraint(condition=Q(visibility__in=["", *VISIBILITIES]), name="ck_uploads_visibility"),
            models.CheckConstraint(
                condition=Q(finished_at=None) | Q(offset=F("size"), unverified=False), name="ck_uploads_finished"
            ),
        ]

    def __str__(self) -> str:
        return self.name or str(self.key)

    def advance(self, offset: int) -> None:
        """Record how many bytes have arrived; the upload expires a week after the last new one."""
        if offset > self.offset:
            self.expires_at = expiry()
        self.offset, self.unverified = offset, False
        self.save(update_fields=["offset", "unverified", "expires_at"])

    def doubt(self, offset: int) -> None:
        """Record that what comes behind the offset counts only when its checksum was compared."""
        self.offset, self.unverified = offset, True
        self.save(update_fields=["offset", "unverified"])

    def choose_video_id(self) -> None:
        """Choose the id of the video before there is one."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT nextval(pg_get_serial_sequence('videos', 'id'))")
            (self.video_id,) = cursor.fetchone()
        self.save(update_fields=["video_id"])

    def tell(self, notes: Iterable[str]) -> None:
        """Keep sentences about what was left out, for the account that uploads."""
        self.notes = "\n".join(notes)
        self.save(update_fields=["notes"])

    def finish(self, video_id: int | None) -> None:
        """Note that all bytes are here, and whose they are; None for a sidecar whose video has not arrived."""
        self.offset, self.unverified = self.size, False
        self.video_id, self.finished_at = video_id, self.finished_at or timezone.now()
        self.save(update_fields=["offset", "unverified", "video_id", "finished_at"])
