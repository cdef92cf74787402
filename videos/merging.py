"""Merge several categories, or several tags, into one."""

from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from videos.models import Category, CategoryLimit, Tag, Upload, Video, VideoTag
from vlog import audit


class GoneError(Exception):
    """The category or tag to keep has been deleted; the message is for the editor."""


def merge(kept: Category | Tag, others: Collection[Category | Tag]) -> None:
    """Move the videos and the addresses of the others to `kept`, and delete the others. Archived videos move, too.

    `others` are of the same model as `kept`. One transaction: a video is never without both. Raises GoneError.
    """
    keys = {row.pk for row in others} - {kept.pk}
    with transaction.atomic():
        rows = type(kept)._default_manager.filter(pk__in=[kept.pk, *keys])
        # Locked in a fixed order, so that two concurrent merges cannot deadlock.
        existing = {row.pk for row in rows.select_for_update().order_by("pk")}
        names = [str(row) for row in others if row.pk in existing and row.pk != kept.pk]
        if kept.pk not in existing:
            raise GoneError(
                _("%(kept)s has been deleted, so nothing was merged. Choose another one to keep.") % {"kept": kept}
            )
        _move_tagged(kept, keys) if isinstance(kept, Tag) else _move_categorized(kept, keys)
        _redirect(kept, rows.exclude(pk=kept.pk))
        rows.exclude(pk=kept.pk).delete()
        audit.record("merged others into", subject=kept, before={"merged": names})


def _move_categorized(kept: Category, keys: set[int]) -> None:
    Video.objects.filter(category__in=keys).update(category=kept)
    Upload.objects.filter(category__in=keys).update(category=kept)
    limited = CategoryLimit.objects.filter(category__in=keys).values_list("user", flat=True).distinct()
    links = [CategoryLimit(user_id=user, category=kept) for user in limited]
    CategoryLimit.objects.bulk_create(links, ignore_conflicts=True)  # some may use the category already


def _move_tagged(kept: Tag, keys: set[int]) -> None:
    tagged = VideoTag.objects.filter(tag__in=keys).order_by("video").values_list("video", flat=True).distinct()
    links = [VideoTag(video_id=video, tag=kept) for video in tagged]
    VideoTag.objects.bulk_create(links, ignore_conflicts=True)  # some videos have the tag already


def _redirect(kept: Category | Tag, others: QuerySet[Any]) -> None:
    """Have the addresses of the others lead to `kept`, and so those that led to theirs."""
    here: Any = kept.old_slugs
    owner, old = here.field.name, here.model.objects
    old.filter(**{f"{owner}__in": others}).update(**{owner: kept})
    old.bulk_create(here.model(slug=slug, **{owner: kept}) for slug in others.values_list("slug", flat=True))
