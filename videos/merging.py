"""Merge several categories, or several tags, into one."""

from collections.abc import Iterable

from django.db import transaction

from videos.models import Category, Tag, Video, VideoTag


class GoneError(Exception):
    """The category or tag to keep has been deleted; the message is for the editor."""


def merge(kept: Category | Tag, others: Iterable[Category | Tag]) -> None:
    """Move the videos of the others to `kept`, including archived ones, and delete the others. Raises GoneError.

    `others` are of the same model as `kept`. One transaction: a video is never without both.
    """
    keys = {row.pk for row in others} - {kept.pk}
    with transaction.atomic():
        rows = type(kept)._default_manager.filter(pk__in=[kept.pk, *keys])
        # Locked in a fixed order, so that two concurrent merges cannot deadlock.
        existing = {row.pk for row in rows.select_for_update().order_by("pk")}
        if kept.pk not in existing:
            raise GoneError(f"{kept} has been deleted, so nothing was merged. Choose another one to keep.")
        _move_tagged(kept, keys) if isinstance(kept, Tag) else _move_categorized(kept, keys)
        rows.exclude(pk=kept.pk).delete()


def _move_categorized(kept: Category, keys: set[int]) -> None:
    Video.objects.filter(category__in=keys).update(category=kept)


def _move_tagged(kept: Tag, keys: set[int]) -> None:
    tagged = VideoTag.objects.filter(tag__in=keys).order_by("video").values_list("video", flat=True).distinct()
    links = [VideoTag(video_id=video, tag=kept) for video in tagged]
    VideoTag.objects.bulk_create(links, ignore_conflicts=True)  # some videos have the tag already
