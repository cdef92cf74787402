"""Videos, their categories, tags and qualities: docs/schema.md describes the tables."""

# Nullable text columns are the schema's: NULL says "never set" where '' would be a value.
# ruff: noqa: DJ001

import secrets
from typing import Any

from django.contrib.postgres.functions import RandomUUID
from django.db import IntegrityError, models, transaction
from django.db.models import ExpressionWrapper, F, Q, Value
from django.db.models.functions import Cast, Coalesce, Replace
from django.utils import timezone

from videos.models.addresses import SLUG_ATTEMPTS, address_of, free_slug_in, is_slug_collision
from vlog.schema import NOW

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


class Category(models.Model):
    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=100, blank=True, db_index=False)
    description = models.TextField(blank=True, default="", db_default="")
    created_at = models.DateTimeField(default=timezone.now, db_default=NOW, editable=False)

    class Meta:
        db_table = "categories"
        ordering = ["name", "id"]
        verbose_name_plural = "categories"
        constraints = [models.UniqueConstraint(fields=["slug"], name="uq_categories_slug")]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.slug = self.slug or free_slug_in(Category, self.name)
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return address_of("category", self.slug)


class TagQuerySet(models.QuerySet["Tag"]):
    def named(self, name: str) -> "Tag":
        """Return the tag of this name, ignoring case, and create it if there is none.

        Safe against concurrent writers of the same tag, or of another tag with the same slug.
        """
        for _ in range(SLUG_ATTEMPTS - 1):
            try:
                with transaction.atomic(using=self.db):
                    return self.filter(name__iexact=name).first() or self.create(name=name)
            except IntegrityError as error:
                if not is_slug_collision(error):
                    raise
        return self.filter(name__iexact=name).first() or self.create(name=name)


class Tag(models.Model):
    name = models.CharField(max_length=50)
    slug = models.SlugField(max_length=50, blank=True, db_index=False)
    created_at = models.DateTimeField(default=timezone.now, db_default=NOW, editable=False)

    objects = TagQuerySet.as_manager()

    class Meta:
        db_table = "tags"
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["name"], name="uq_tags_name"),
            # For the tag page. The schema asks for UNIQUE and for an index of this name: one index is both.
            models.UniqueConstraint(fields=["slug"], name="ix_tags_slug"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.slug = self.slug or free_slug_in(Tag, self.name)
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return address_of("tag", self.slug)


class VideoQuerySet(models.QuerySet["Video"]):
    def alive(self) -> "VideoQuerySet":
        """Videos that are not in the archive."""
        return self.filter(deleted_at__isnull=True)

    def public(self) -> "VideoQuerySet":
        """Videos that every viewer may watch now."""
        return self.alive().filter(watchable=True, published_at__lte=timezone.now())

    def newest(self) -> "VideoQuerySet":
        """Order by publication, the latest first."""
        return self.order_by("-published_at", "-id")

    def create_with_slug(self, *, title: str, **fields: Any) -> "Video":
        """Create a video with a slug made from its title; safe against concurrent writers of the same title."""
        for _ in range(SLUG_ATTEMPTS - 1):
            try:
                with transaction.atomic(using=self.db):
                    return self.create(title=title, slug=free_slug(title), **fields)
            except IntegrityError as error:
                if not is_slug_collision(error):
                    raise
        return self.create(title=title, slug=free_slug(title), **fields)

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
        """Note that videos in the making are ready, and publish those that no editor has scheduled."""
        published_at = Coalesce("published_at", timezone.now())
        return self.filter(status=VideoStatus.PROCESSING).update(
            status=VideoStatus.READY, error_message=None, duration=duration, published_at=published_at
        )

    def restart(self) -> int:
        """Withdraw one video to make it again from its source, under another media key."""
        return self.update(status=VideoStatus.PENDING, error_message=None, media_key=new_media_key())


class Video(models.Model):
    """A video, from its upload until it is purged.

    pending ──▶ processing ──▶ ready
                 ▲      │
           retry │      ▼
                 └── failed

    A video with `deleted_at` is archived, whatever its status. With `published_at` in the future or NULL it is not
    public yet. A published video is public when it is ready, or with `publish_early` as soon as it plays.
    """

    Status = VideoStatus

    title = models.CharField(max_length=255)
    slug = models.SlugField(max_length=255, db_index=False)
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
    published_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Part of the media address; it changes when a video is archived, so that old addresses stop working.
    media_key = models.CharField(
        max_length=32,
        default=new_media_key,
        db_default=Replace(Cast(RandomUUID(), models.CharField()), Value("-"), Value("")),
        editable=False,
    )
    publish_early = models.BooleanField(
        "publish as soon as it plays",
        default=False,
        db_default=False,
        help_text="Viewers can watch it while the rest is still being made.",
    )
    watchable = models.GeneratedField(
        expression=ExpressionWrapper(
            Q(status=VideoStatus.READY) | Q(status=VideoStatus.PROCESSING, publish_early=True), models.BooleanField()
        ),
        output_field=models.BooleanField(),
        db_persist=True,
    )
    poster_version = models.IntegerField(default=0, db_default=0, editable=False, help_text="Counts its changes")
    source_name = models.CharField(max_length=255, blank=True, default="", db_default="", editable=False)
    # Maintained by the roll-up of playback sessions, so that pages need not count them.
    view_count = models.IntegerField(default=0, db_default=0, editable=False)
    tags = models.ManyToManyField(Tag, through="VideoTag", related_name="videos", blank=True)

    objects = VideoQuerySet.as_manager()

    class Meta:
        db_table = "videos"
        indexes = [
            models.Index(fields=["status"], name="ix_videos_status"),
            models.Index(fields=["category"], name="ix_videos_category_id"),
            models.Index(fields=["created_at"], name="ix_videos_created_at"),  # the admin's list
            models.Index(fields=["published_at"], name="ix_videos_published_at"),  # newest()
            models.Index(fields=["deleted_at"], name="ix_videos_deleted_at"),  # what purge_archive may delete
            # public().newest(), by page and counted, without reading videos that are not public
            models.Index(
                F("published_at").desc(),
                F("id").desc(),
                name="ix_videos_public",
                condition=Q(watchable=True, deleted_at__isnull=True),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["slug"], name="uq_videos_slug"),
            models.CheckConstraint(condition=Q(status__in=VideoStatus.values), name="ck_videos_status"),
            models.CheckConstraint(condition=Q(duration__gte=0), name="ck_videos_duration"),
            models.CheckConstraint(
                condition=Q(source_width__gte=0, source_height__gte=0), name="ck_videos_source_size"
            ),
            models.CheckConstraint(condition=Q(poster_version__gte=0), name="ck_videos_poster_version"),
            models.CheckConstraint(condition=Q(media_key__regex="^[0-9a-f]{32}$"), name="ck_videos_media_key"),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return address_of("watch", self.slug)


class VideoTag(models.Model):
    """The link between a video and one of its tags."""

    pk = models.CompositePrimaryKey("video_id", "tag_id")
    video = models.ForeignKey(Video, models.CASCADE, db_constraint=False, db_index=False)
    tag = models.ForeignKey(Tag, models.CASCADE, db_constraint=False, db_index=False)

    class Meta:
        db_table = "video_tags"
        indexes = [
            models.Index(fields=["video"], name="ix_video_tags_video_id"),
            models.Index(fields=["tag"], name="ix_video_tags_tag_id"),
        ]

    def __str__(self) -> str:
        return f"{self.video} · {self.tag}"


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


def free_slug(title: str) -> str:
    """Return a slug for a video of this title that no other video has; see `free_slug_in`."""
    return free_slug_in(Video, title)
