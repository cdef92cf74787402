"""The archive: deleted videos, until they are restored or purged."""

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone

from videos.models.addresses import with_free_slug
from videos.models.catalogue import Video, free_slug, new_media_key


class ArchiveQuerySet(models.QuerySet["ArchiveEntry"]):
    def archive(self, video: Video, by: str, *, slug: str = "", at: datetime | None = None) -> "ArchiveEntry":
        """Archive a video and return its entry. All its addresses stop working: slug and media key change.

        slug, at: of a video that another site had archived. Call it with the video locked.
        """
        entry = self.create(video=video, slug=slug or video.slug, archived_by=by[:150])
        video.deleted_at, video.media_key = at or timezone.now(), new_media_key()
        video.slug = video.media_key  # other videos may take its own, which comes back with it
        video.save(update_fields=["deleted_at", "media_key", "slug"])
        return entry

    def restore(self, video: Video) -> None:
        """Take a video out of the archive, with its own slug if that is free. Call it with the video locked."""
        entry = self.filter(video=video).first()
        _save_restored(video, entry.slug if entry else video.title)
        self.filter(video=video).delete()


class ArchiveEntry(models.Model):
    """The facts about an archived video beside `videos.deleted_at`; the row exists while the video is archived."""

    video = models.OneToOneField(
        Video, models.CASCADE, primary_key=True, related_name="archive_entry", db_constraint=False
    )
    slug = models.CharField(max_length=255, help_text="The video's own, free for others meanwhile")
    archived_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    size = models.BigIntegerField(default=0, db_default=0, help_text="Bytes of all its files")

    objects = ArchiveQuerySet.as_manager()

    class Meta:
        db_table = "archive_entries"
        verbose_name_plural = "archive entries"
        indexes = [models.Index(fields=["slug"], name="ix_archive_entries_slug")]  # answers 410, not 404
        constraints = [models.CheckConstraint(condition=Q(size__gte=0), name="ck_archive_entries_size")]

    def __str__(self) -> str:
        return f"{self.video}, archived"


class ArchivedVideo(Video):
    """The archived videos in the admin, with permissions of their own to restore and to delete permanently."""

    class Meta:
        proxy = True
        verbose_name = "archived video"


def _save_restored(video: Video, slug: str) -> None:
    video.deleted_at = None
    others = Video.objects.exclude(pk=video.pk)

    def save() -> None:
        video.slug = free_slug(slug) if others.taken(slug) else slug
        video.save(update_fields=["deleted_at", "slug"])

    with_free_slug(save)
