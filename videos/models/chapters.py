"""The chapters of videos."""

from collections.abc import Sequence

from django.db import models, transaction
from django.db.models import Q

from videos.models.catalogue import Video

TITLE_LENGTH = 255


class ChapterQuerySet(models.QuerySet["Chapter"]):
    def replace(self, video_id: int, marks: Sequence[tuple[float, str]], *, from_file: bool = False) -> None:
        """Make these the chapters of a video: the start of each in seconds, and its title."""
        with transaction.atomic():
            self.filter(video=video_id).delete()
            rows = [self.model(video_id=video_id, start=at, title=title, from_file=from_file) for at, title in marks]
            self.bulk_create(rows)

    def keep(self, video_id: int) -> None:
        """Have the chapters of a video stay when its file is replaced, because an editor has changed them."""
        self.filter(video=video_id, from_file=True).update(from_file=False)

    def marks(self) -> list[tuple[float, str]]:
        """Return the start of each chapter in seconds, and its title."""
        return list(self.order_by("start").values_list("start", "title"))


class Chapter(models.Model):
    """A part of a video, which lasts until the next one begins."""

    video = models.ForeignKey(Video, models.CASCADE, related_name="chapters", db_constraint=False, db_index=False)
    start = models.FloatField(help_text="Seconds")
    title = models.CharField(max_length=TITLE_LENGTH)
    from_file = models.BooleanField(
        default=False, db_default=False, help_text="They are those of the file, and another file replaces them"
    )

    objects = ChapterQuerySet.as_manager()

    class Meta:
        db_table = "chapters"
        ordering = ["video_id", "start"]
        default_permissions = ()  # who may change a video may change its chapters
        constraints = [
            # Its index also serves pages and ON DELETE, which look up the chapters of one video.
            models.UniqueConstraint(fields=["video", "start"], name="uq_chapters_start"),
            models.CheckConstraint(condition=Q(start__gte=0), name="ck_chapters_start"),
        ]

    def __str__(self) -> str:
        return self.title
