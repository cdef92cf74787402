"""Videos, their tags and qualities: docs/schema.md describes the tables."""

# ruff: noqa: DJ001 - nullable text columns are the schema's: NULL says "never set" where '' would be a value.

import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AnonymousUser, User
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import ExpressionWrapper, F, Q, Subquery, Value
from django.db.models.functions import Cast, Coalesce, Replace
from django.utils import timezone

from videos.models.addresses import AddressedQuerySet, address_of, free_slug_in, is_made_from, with_free_slug
from videos.models.categories import Category, Tag, version_field
from videos.models.limits import of_editor
from videos.models.visibility import (
    MAY_BE_PUBLIC,
    OPEN,
    IsPublic,
    Visibility,
    default_visibility,
    password_goes_with,
    visibility_now,
)
from vlog.schema import NOW

if TYPE_CHECKING:
    from videos.models.publication import VisibilityChange

PUBLIC_ROWS = Q(MAY_BE_PUBLIC, watchable=True, deleted_at__isnull=True)  # of indexes: a row that may be public
LATEST_FIRST = (F("published_at").desc(), F("id").desc())
LISTED = Q(deleted_at=None, version_of=None)  # neither archived nor the holder of another version
# Foreign keys carry db_constraint=False because the migrations write the constraints, with their ON DELETE rules:
# Django would drop a rule that it does not know when it alters the column.


class VideoStatus(models.TextChoices):
    PENDING = "pending"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


def new_media_key() -> str:
    """Return 128 random bits as 32 hexadecimal digits."""
    return secrets.token_hex(16)


def folder_number(column: str) -> Coalesce:
    """Return the expression of the number of a folder: that of the column, or else the id."""
    return Coalesce(column, "id", output_field=models.IntegerField())


class VideoQuerySet(AddressedQuerySet["Video"]):
    def not_archived(self) -> "VideoQuerySet":
        """Videos that are not in the archive."""
        return self.filter(deleted_at__isnull=True)

    def listed(self) -> "VideoQuerySet":
        """Videos, without the rows that hold their other versions."""
        return self.filter(version_of=None)

    def for_editor(self, user: User | AnonymousUser) -> "VideoQuerySet":
        """Videos that this account may see and edit, if its role lets it: everything for editors begins with this."""
        return self.filter(of_editor(user))

    def with_versions(self, video_id: int) -> "VideoQuerySet":
        """The row of a video and those that hold its other versions; the id may be that of any of them."""
        own = Subquery(Video.objects.filter(pk=video_id).values("version_of"))
        root = Coalesce(own, Value(video_id), output_field=models.IntegerField())
        return self.filter(Q(pk=root) | Q(version_of=root))

    def in_package(self, number: int | str) -> "VideoQuerySet":
        """The row whose package has this number."""
        return self.alias(in_package=folder_number("package_number")).filter(in_package=number)

    def now(self, *visibilities: str) -> "VideoQuerySet":
        """Videos that have one of these visibilities at this moment."""
        return self.alias(visibility_now=visibility_now()).filter(visibility_now__in=visibilities)

    def public(self) -> "VideoQuerySet":
        """Videos that every viewer may watch now, and finds in lists."""
        return self.filter(IsPublic())

    def open(self) -> "VideoQuerySet":
        """Videos that everybody who has the address may watch now."""
        return self.not_archived().filter(watchable=True).now(*OPEN)

    def newest(self) -> "VideoQuerySet":
        """Order by publication, the latest first; before them those that beat has not noted as published yet."""
        return self.order_by("-published_at", "-id")

    def create_with_slug(self, *, title: str, slug: str = "", **fields: Any) -> "Video":
        """Create a video with this slug, or a free one made from it or the title; safe against concurrent writers."""
        return with_free_slug(lambda: self.create(title=title, slug=free_slug(slug or title, slug), **fields))

    def unfinished(self) -> "VideoQuerySet":
        return self.filter(status__in=[VideoStatus.PENDING, VideoStatus.PROCESSING])

    def process(self) -> int:
        """Note that the videos are being made; returns their number."""
        return self.update(status=VideoStatus.PROCESSING)

    def fail(self, reason: str) -> int:
        """Note that the videos will not be made until they are retried; returns their number."""
        return self.update(status=VideoStatus.FAILED, error_message=reason)

    def reopen(self) -> int:
        """Note that failed videos are being made again; returns their number."""
        return self.filter(status=VideoStatus.FAILED).update(status=VideoStatus.PROCESSING, error_message=None)

    def complete(self, duration: float) -> int:
        """Note that videos in the making are ready: from now on those may watch them whom their visibility lets."""
        return self.filter(status=VideoStatus.PROCESSING).update(
            status=VideoStatus.READY, error_message=None, duration=duration, playable=True
        )

    def restart(self) -> int:
        """Withdraw one video to make it again from its source, under another media key; its visibility stays."""
        return self.update(status=VideoStatus.PENDING, error_message=None, playable=False, media_key=new_media_key())


class Video(models.Model):
    """A video, from its upload until it is purged.

    pending ──▶ processing ──▶ ready
                 ▲      │
           retry │      ▼
                 └── failed

    A video with `deleted_at` is archived, whatever its status. It is watchable when it is ready, or with
    `publish_early` as soon as it plays; `visibility` says by whom. `published_at` is written by a trigger, once: when
    the video first becomes public.
    """

    Status = VideoStatus

    title = models.CharField(max_length=255)
    slug = models.SlugField(
        max_length=255,
        db_index=False,
        help_text="The last part of its address. It follows the title until the video is first public. Old addresses "
        "lead to the present one.",
    )
    description = models.TextField(blank=True, default="", db_default="")
    category = models.ForeignKey(
        Category,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="videos",
        db_constraint=False,
        db_index=False,
    )
    duration = models.FloatField(default=0.0, db_default=0.0, help_text="Seconds")
    source_width = models.IntegerField(default=0, db_default=0)
    source_height = models.IntegerField(default=0, db_default=0)
    status = models.CharField(
        max_length=20, choices=VideoStatus, default=VideoStatus.PENDING, db_default=VideoStatus.PENDING
    )
    error_message = models.TextField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_default=NOW, editable=False)
    visibility = models.CharField(
        max_length=10, choices=Visibility, default=default_visibility, db_default=Visibility.PRIVATE
    )
    password = models.CharField(
        max_length=128, blank=True, default="", db_default="", editable=False, help_text="Its hash"
    )
    changes_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the next change of the visibility is due"
    )
    published_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Part of the media address. A trigger replaces it when fewer people may watch the video, so that old addresses stop
    # working, and marks the video as misplaced until its files have followed.
    media_key = models.CharField(
        max_length=32,
        default=new_media_key,
        db_default=Replace(Cast(RandomUUID(), models.CharField()), Value("-"), Value("")),
        editable=False,
    )
    misplaced = models.BooleanField(default=False, db_default=False, editable=False)
    publish_early = models.BooleanField(
        "publish as soon as it plays",
        default=False,
        db_default=False,
        help_text="Viewers can watch it while the rest is still being made.",
    )
    downloads = models.BooleanField(
        "viewers may download it",
        default=False,
        db_default=False,
        help_text="Everybody who may watch the video gets it as an MP4 file, too.",
    )
    playable = models.BooleanField(default=False, db_default=False, editable=False)
    watchable = models.GeneratedField(
        expression=ExpressionWrapper(
            Q(status=VideoStatus.READY) | Q(status=VideoStatus.PROCESSING, publish_early=True, playable=True),
            models.BooleanField(),
        ),
        output_field=models.BooleanField(),
        db_persist=True,
    )
    # NULL: its own id. Package and original keep their folders when another version takes over: see file_versions.
    package_number = models.IntegerField(null=True, blank=True, editable=False, help_text="In the name of its package")
    source_number = models.IntegerField(null=True, blank=True, editable=False, help_text="The folder of its original")
    version_of = models.ForeignKey(
        "self",
        models.CASCADE,
        null=True,
        blank=True,
        editable=False,
        related_name="held",
        db_constraint=False,
        db_index=False,
        help_text="The video of which this row holds another version: see file_versions",
    )
    poster_version = models.IntegerField(default=0, db_default=0, editable=False, help_text="Counts its changes")
    source_name = models.CharField(max_length=255, blank=True, default="", db_default="", editable=False)
    # Maintained by the roll-up of playback sessions, so that pages need not count them.
    view_count = models.IntegerField(default=0, db_default=0, editable=False)
    base_views = models.IntegerField(default=0, db_default=0, editable=False, help_text="In another installation")
    tags = models.ManyToManyField(Tag, through="VideoTag", related_name="videos", blank=True)
    version = version_field()
    grant = ""  # in the addresses of its files, for the person who gets them: videos.grants

    objects = VideoQuerySet.as_manager()

    class Meta:
        db_table = "videos"
        indexes = [
            models.Index(fields=["status"], name="ix_videos_status"),
            models.Index(fields=["category"], name="ix_videos_category_id"),
            models.Index(fields=["created_at"], name="ix_videos_created_at"),  # the latest arrivals
            models.Index(fields=["published_at"], name="ix_videos_published_at"),  # newest()
            models.Index(fields=["deleted_at"], name="ix_videos_deleted_at"),  # what purge_archive may delete
            models.Index(fields=["id"], name="ix_videos_misplaced", condition=Q(misplaced=True)),  # the sweep
            models.Index(  # the other versions of a video
                fields=["version_of"], name="ix_videos_version_of", condition=Q(version_of__isnull=False)
            ),
            models.Index(
                F("created_at").desc(), F("id").desc(), name="ix_videos_list", condition=LISTED
            ),  # in the admin
            # public().newest(), by page and counted, without reading videos that are not public; and in a category
            models.Index(*LATEST_FIRST, name="ix_videos_public", condition=PUBLIC_ROWS),
            models.Index(F("category"), *LATEST_FIRST, name="ix_videos_public_category", condition=PUBLIC_ROWS),
        ]
        constraints = [
            models.UniqueConstraint(fields=["slug"], name="uq_videos_slug"),
            models.UniqueConstraint(folder_number("package_number"), name="uq_videos_package_number"),
            models.CheckConstraint(
                condition=Q(version_of=None) | Q(visibility=Visibility.PRIVATE), name="ck_videos_visibility_of_version"
            ),
            models.CheckConstraint(condition=Q(status__in=VideoStatus.values), name="ck_videos_status"),
            models.CheckConstraint(condition=Q(duration__gte=0), name="ck_videos_duration"),
            models.CheckConstraint(
                condition=Q(source_width__gte=0, source_height__gte=0), name="ck_videos_source_size"
            ),
            models.CheckConstraint(condition=Q(poster_version__gte=0), name="ck_videos_poster_version"),
            models.CheckConstraint(condition=Q(media_key__regex="^[0-9a-f]{32}$"), name="ck_videos_media_key"),
            models.CheckConstraint(condition=Q(visibility__in=Visibility.values), name="ck_videos_visibility"),
            models.CheckConstraint(condition=password_goes_with(), name="ck_videos_password"),
            models.CheckConstraint(condition=Q(version__gte=1), name="ck_videos_version"),
            models.CheckConstraint(condition=Q(base_views__gte=0), name="ck_videos_base_views"),
        ]

    def __str__(self) -> str:
        return self.title

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Save the video, and read what the database has written: with a media key of before, old addresses would work
        again after the next save.

        Until the video was first published, its slug follows a new title, unless an editor wrote the slug.
        """
        if self._state.adding:
            super().save(*args, update_fields=update_fields, **kwargs)
            return
        if (update_fields is None or "title" in update_fields) and self._slug_follows():
            fields = update_fields and {*update_fields, "slug"}
            with_free_slug(lambda: self._save_with_free_slug(*args, update_fields=fields, **kwargs))
        else:
            super().save(*args, update_fields=update_fields, **kwargs)
        self.refresh_from_db(fields=["media_key", "misplaced", "published_at", "changes_at", "version"])

    def get_absolute_url(self) -> str:
        return address_of("watch", self.slug)

    def _slug_follows(self) -> bool:
        """Whether the title has changed, and the slug is still made from the one of before."""
        drafts = Video.objects.not_archived().filter(pk=self.pk, published_at=None)
        title, slug = drafts.values_list("title", "slug").first() or ("", "")
        was_made, is_made = (is_made_from(Video, self.slug, text) for text in (title, self.title))
        return self.slug == slug and was_made and not is_made

    def _save_with_free_slug(self, *args: Any, **kwargs: Any) -> None:
        self.slug = free_slug_in(Video, self.title, self)
        super().save(*args, **kwargs)

    @property
    def only_sound(self) -> bool:
        """Return whether its source has been analysed and has no pictures."""
        return self.duration > 0 and not self.source_width

    def in_force(self) -> "Video | VisibilityChange":
        """Return the row whose visibility and password count now: this one, or a change that is due."""
        if self.changes_at is None or self.changes_at > timezone.now():
            return self
        return self.changes.due().last() or self

    @property
    def is_open(self) -> bool:
        """Whether everybody who has the address may watch the video now."""
        return self.watchable and self.deleted_at is None and self.in_force().visibility in OPEN


class VideoQuality(models.Model):
    """A rendition that viewers of a ready video can choose in the player."""

    video = models.ForeignKey(Video, models.CASCADE, related_name="qualities", db_constraint=False, db_index=False)
    quality = models.CharField(max_length=10)
    width = models.IntegerField(help_text="Pixels")
    height = models.IntegerField(help_text="Pixels")
    bitrate = models.IntegerField(help_text="Measured average in kbit/s")

    class Meta:
        db_table = "video_qualities"
        verbose_name_plural = "video qualities"
        constraints = [
            # Its index also serves the watch page and ON DELETE, which look up the rows of one video.
            models.UniqueConstraint(fields=["video", "quality"], name="uq_video_quality"),
            models.CheckConstraint(
                condition=Q(width__gte=0, height__gte=0, bitrate__gte=0), name="ck_video_qualities_sizes"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.video}, {self.quality}"


def free_slug(title: str, wanted: str = "") -> str:
    """Return a slug for a video of this title that no other video has; see `free_slug_in`."""
    return free_slug_in(Video, title, wanted=wanted)
