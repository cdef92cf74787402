"""The archive: what is known of a deleted video."""

from django.db import models
from django.db.models import Q

from videos.models.catalogue import Video


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
