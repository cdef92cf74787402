"""What editors write and viewers read: docs/schema.md describes the tables."""

# Nullable text columns are the schema's: NULL says "never set" where '' would be a value.
# ruff: noqa: DJ001

import secrets
from functools import lru_cache
from itertools import count
from typing import Any, cast

from django.contrib.postgres.functions import RandomUUID
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import IntegrityError, models, transaction
from django.db.models import ExpressionWrapper, F, Func, Q, Value
from django.db.models.functions import Cast, Replace
from django.urls import get_script_prefix, reverse
from django.utils import timezone
from django.utils.text import slugify

from vlog.schema import NOW

# Foreign keys carry db_constraint=False because the migrations write the constraints, with their ON DELETE rules:
# Django would drop a rule that it does not know when it alters the column.

SLUG_ATTEMPTS = 20  # each lost attempt is another writer's gain, so this many must write the same title at once


class VideoStatus(models.TextChoices):
    PENDING = "pending"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


class TranscriptionStatus(models.TextChoices):
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"


def new_media_key() -> str:
    """128 random bits as 32 hexadecimal digits."""
    return secrets.token_hex(16)


@lru_cache(4096)
def address_below(script_prefix: str, page: str, slug: str) -> str:
    """The address of a page; a list shows fifty of them, and reverse() would take a fifth of its time."""
    return reverse(page, args=[slug])


def address_of(page: str, slug: str) -> str:
    return address_below(get_script_prefix(), page, slug)


def free_slug_in(model: type[models.Model], text: str) -> str:
    """A slug made from text that no row of the model has yet: `text`, `text-2`, `text-3` …

    ASCII only; the model's name stands in for a text without a Latin letter or digit. Another writer may take
    the slug before the caller's INSERT: the unique constraint tells, and the caller tries again.
    """
    length: int = cast(Any, model._meta.get_field("slug")).max_length
    base = slugify(text)[:length].strip("-_") or str(model._meta.model_name)
    beginning = base[: length - 8]  # what all candidates share: a suffix takes at most 8 characters
    taken = set(model._default_manager.filter(slug__startswith=beginning).values_list("slug", flat=True))
    suffixes = ("" if n == 1 else f"-{n}" for n in count(1))
    candidates = (base[: length - len(suffix)] + suffix for suffix in suffixes)
    return next(slug for slug in candidates if slug not in taken)


def free_slug(title: str) -> str:
    """A slug for a video of that title which no video has yet; see `free_slug_in`."""
    return free_slug_in(Video, title)


def is_slug_collision(error: IntegrityError) -> bool:
    diagnosis = getattr(error.__cause__, "diag", None)
    return diagnosis is not None and diagnosis.constraint_name in ("uq_videos_slug", "ix_tags_slug", "uq_tags_name")


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
        """The tag of that name, whatever the case; made where there is none, also when others make it, or one with the
        same slug, at the same time."""
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
            # The tag page's look-up. One index is both: the schema's UNIQUE and the index that it names.
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
        """Those that are not in the archive."""
        return self.filter(deleted_at__isnull=True)

    def public(self) -> "VideoQuerySet":
        """Those that every viewer may watch now."""
        return self.alive().filter(watchable=True, published_at__lte=timezone.now())

    def newest(self) -> "VideoQuerySet":
        """In the order of publication, the latest first."""
        return self.order_by("-published_at", "-id")

    def create_with_slug(self, *, title: str, **fields: Any) -> "Video":
        """A new row whose slug is made from the title, also when others write the same title at the same time."""
        for _ in range(SLUG_ATTEMPTS - 1):
            try:
                with transaction.atomic(using=self.db):
                    return self.create(title=title, slug=free_slug(title), **fields)
            except IntegrityError as error:
                if not is_slug_collision(error):
                    raise
        return self.create(title=title, slug=free_slug(title), **fields)


class Video(models.Model):
    """One video, from its upload to its end.

    pending ──▶ processing ──▶ ready
                 ▲      │
           retry │      ▼
                 └── failed

    Beside the status: `deleted_at` set means archived, whatever the status; `published_at` in the future or NULL
    means not public yet. A video is public when it is ready, or with `publish_early` as soon as it plays.
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
    # Part of the media address; it changes when a video is withdrawn, so that old addresses stop working.
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
    # Kept by the roll-up of playback sessions: pages must not count them.
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
            models.Index(fields=["deleted_at"], name="ix_videos_deleted_at"),  # what the archive may purge
            # public().newest(), page by page and counted, without a look at what is not public
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


class ArchiveEntry(models.Model):
    """What is known of an archived video beside `videos.deleted_at`: there as long as the video is in the archive."""

    video = models.OneToOneField(
        Video, models.CASCADE, primary_key=True, related_name="archive_entry", db_constraint=False
    )
    slug = models.CharField(max_length=255, help_text="The video's own, free for others meanwhile")
    archived_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    size = models.BigIntegerField(default=0, db_default=0, help_text="Bytes of all its files")

    class Meta:
        db_table = "archive_entries"
        verbose_name_plural = "archive entries"
        indexes = [models.Index(fields=["slug"], name="ix_archive_entries_slug")]  # its address is gone, not unknown
        constraints = [models.CheckConstraint(condition=Q(size__gte=0), name="ck_archive_entries_size")]

    def __str__(self) -> str:
        return f"{self.video}, archived"


class ArchivedVideo(Video):
    """The same rows, where editors restore and administrators delete for good: with permissions of its own."""

    class Meta:
        proxy = True
        verbose_name = "archived video"


class StorageEntry(models.Model):
    """How many bytes of the disk a video takes, as they were last measured: `videos.ledger` writes the rows."""

    video = models.OneToOneField(
        Video, models.CASCADE, primary_key=True, related_name="storage_entry", db_constraint=False
    )
    source = models.BigIntegerField(default=0, db_default=0)
    renditions = models.BigIntegerField(default=0, db_default=0)
    extras = models.BigIntegerField(default=0, db_default=0, help_text="Pictures, captions and playlists")
    temporary = models.BigIntegerField(default=0, db_default=0, help_text="Half-written files")
    folders = models.JSONField(
        default=dict, db_default=Value({}, models.JSONField()), help_text="Bytes of each rendition"
    )
    measured_at = models.DateTimeField(default=timezone.now, db_default=NOW)

    class Meta:
        db_table = "storage_entries"
        verbose_name_plural = "storage"
        default_permissions = ()  # whoever may see a video may see what it takes
        constraints = [
            models.CheckConstraint(
                condition=Q(source__gte=0, renditions__gte=0, extras__gte=0, temporary__gte=0),
                name="ck_storage_entries_bytes",
            ),
        ]

    def __str__(self) -> str:
        return f"Storage of {self.video}"

    @property
    def total(self) -> int:
        return self.source + self.renditions + self.extras + self.temporary


class VideoTag(models.Model):
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
    """A rendition that viewers of a ready video can choose."""

    video = models.ForeignKey(Video, models.CASCADE, related_name="qualities", db_constraint=False, db_index=False)
    quality = models.CharField(max_length=10)
    width = models.IntegerField(help_text="Pixels")
    height = models.IntegerField(help_text="Pixels")
    bitrate = models.IntegerField(help_text="Measured average in kbit/s")

    class Meta:
        db_table = "video_qualities"
        verbose_name_plural = "video qualities"
        constraints = [
            # Its index also finds the rows of one video, for the watch page and for ON DELETE.
            models.UniqueConstraint(fields=["video", "quality"], name="uq_video_quality"),
            models.CheckConstraint(
                condition=Q(width__gte=0, height__gte=0, bitrate__gte=0), name="ck_video_qualities_sizes"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.video}, {self.quality}"


class Transcription(models.Model):
    """The words of one video.

    pending ──▶ processing ──▶ completed
                 ▲      │
           retry │      ▼
                 └── failed
    """

    Status = TranscriptionStatus

    video = models.OneToOneField(Video, models.CASCADE, related_name="transcription", db_constraint=False)
    status = models.CharField(
        max_length=20,
        choices=TranscriptionStatus,
        default=TranscriptionStatus.PENDING,
        db_default=TranscriptionStatus.PENDING,
    )
    language = models.CharField(max_length=10, default="en", db_default="en")
    given_language = models.CharField(
        max_length=10, blank=True, default="", db_default="", help_text="Empty: it is detected"
    )
    progress_percent = models.IntegerField(default=0, db_default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    duration_seconds = models.FloatField(null=True, blank=True, help_text="What the transcription took")
    transcript_text = models.TextField(null=True, blank=True)
    vtt_path = models.CharField(max_length=255, null=True, blank=True)
    word_count = models.IntegerField(null=True, blank=True)
    error_message = models.TextField(null=True, blank=True)

    class Meta:
        db_table = "transcriptions"
        constraints = [
            models.CheckConstraint(condition=Q(status__in=TranscriptionStatus.values), name="ck_transcriptions_status"),
            models.CheckConstraint(condition=Q(duration_seconds__gte=0), name="ck_transcriptions_duration"),
            models.CheckConstraint(condition=Q(word_count__gte=0), name="ck_transcriptions_words"),
            models.CheckConstraint(condition=Q(progress_percent__range=(0, 100)), name="ck_transcriptions_progress"),
        ]

    def __str__(self) -> str:
        return f"Transcription of {self.video}"


class Cue(models.Model):
    """One caption: what is said from one second of the video to another."""

    video = models.ForeignKey(Video, models.CASCADE, related_name="cues", db_constraint=False, db_index=False)
    start = models.FloatField(help_text="Seconds")
    end = models.FloatField(help_text="Seconds")
    text = models.TextField()

    class Meta:
        db_table = "cues"
        ordering = ["video_id", "start", "id"]
        indexes = [
            models.Index(fields=["video", "start"], name="ix_cues_video_id_start"),
            GinIndex(Func("text", function="search_words", output_field=SearchVectorField()), name="ix_cues_words"),
        ]
        constraints = [models.CheckConstraint(condition=Q(start__gte=0, end__gte=F("start")), name="ck_cues_times")]

    def __str__(self) -> str:
        return f"{self.start:.1f} s: {self.text}"


class SearchDocument(models.Model):
    """The words of a video's title, tags and description: triggers keep the rows, whoever writes the others."""

    video = models.OneToOneField(
        Video, models.CASCADE, primary_key=True, related_name="search_document", db_constraint=False
    )
    document = SearchVectorField()

    class Meta:
        db_table = "search_documents"
        default_permissions = ()  # nobody writes them
        indexes = [GinIndex(fields=["document"], name="ix_search_documents_document")]

    def __str__(self) -> str:
        return f"Words of {self.video}"
