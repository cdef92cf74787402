"""Which videos have a page, and whom they are shown to."""

from functools import lru_cache
from typing import Any

from django.db.models import CharField

from videos import grants
from videos.models import ArchiveEntry, Category, Video, VideoQuerySet, Visibility
from vlog import queries

# What templates/site/videos/player.html and watch_head.html show besides a video, on pages that have none of it.
NO_EXTRAS: dict[str, Any] = {
    "embedded": False,
    "start": 0,
    "chapters": (),
    "queue": None,
    "more": (),
    "later": (),
    "download": None,
}


def pageable() -> VideoQuerySet:
    """Return the videos that can have a page."""
    return Video.objects.not_archived().listed().select_related("category")


def at(slug: str) -> Video | None:
    """Return the video that can have a page and has this slug, or had it before, with its category."""
    row = _at().row(slug=slug)
    if row is None:
        return pageable().filter(old_slugs__slug=slug).first()
    video, category = queries.instances(row, Video, Category)
    video.category = category if category.pk else None
    return video


@lru_cache(maxsize=1)
def _at() -> queries.Statement:
    return queries.prepare(pageable().filter(slug=queries.Given("slug", CharField())))


def admit(video: Video, grant: str) -> bool:
    """Return whether viewers may see the video, which keeps the grant if it needs one."""
    if not video.is_open and grant and video.watchable and grants.admits(grant, video):
        video.grant = grant
    return bool(video.grant) or video.is_open


def is_gone(slug: str) -> bool:
    """Return whether an archived public video had this slug."""
    entries = ArchiveEntry.objects.filter(video__in=Video.objects.filter(watchable=True).now(Visibility.PUBLIC))
    return entries.filter(slug=slug).exists() or entries.filter(video__old_slugs__slug=slug).exists()
