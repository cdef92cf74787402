"""Several categories, or several tags, become one."""

from collections.abc import Iterable

from django.db import transaction

from videos.models import Category, Tag, Video, VideoTag


class GoneError(Exception):
    """The one that should stay is not there any more; the message tells the editor."""


def merge(kept: Category | Tag, others: Iterable[Category | Tag]) -> None:
    """Give the videos of the others to `kept`, archived ones too, and delete the others. Raises GoneError.

    `others` are of the kind of `kept`. One transaction: a video is never without both.
    """
    keys = {row.pk for row in others} - {kept.pk}
    with transaction.atomic():
        rows = type(kept)._default_manager.filter(pk__in=[kept.pk, *keys])
        # In one order, so that two merges at once wait for each other and not both for ever.
        there = {row.pk for row in rows.select_for_update().order_by("pk")}
        if kept.pk not in there:
            raise GoneError(f"{kept} has been deleted meanwhile, so nothing was merged. Choose another one to stay.")
        _move_tagged(kept, keys) if isinstance(kept, Tag) else _move_shelved(kept, keys)
        rows.exclude(pk=kept.pk).delete()


def _move_shelved(kept: Category, keys: set[int]) -> None:
    Video.objects.filter(category__in=keys).update(category=kept)


def _move_tagged(kept: Tag, keys: set[int]) -> None:
    tagged = VideoTag.objects.filter(tag__in=keys).order_by("video").values_list("video", flat=True).distinct()
    links = [VideoTag(video_id=video, tag=kept) for video in tagged]
    VideoTag.objects.bulk_create(links, ignore_conflicts=True)  # those that have it already
