"""The categories and playlists that imports name: found, or created where the operator asked for that."""

from collections.abc import Iterable

from django.db.models import Q

from videos.models import Category, Playlist, default_visibility
from vlog import audit


def category(name: str) -> Category | None:
    """Return the category of this slug or name, or the one that had the slug before."""
    found = Category.objects.filter(Q(slug=name) | Q(name__iexact=name)).first()
    return found or Category.objects.at(name)


def playlist(name: str) -> Playlist | None:
    """Return the playlist of this slug or title, or the one that had the slug before."""
    found = Playlist.objects.filter(Q(slug=name) | Q(title__iexact=name)).first()
    return found or Playlist.objects.at(name)


def missing(categories: Iterable[str], playlists: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the names of these that no category and no playlist has."""
    return (
        [name for name in dict.fromkeys(categories) if category(name) is None],
        [name for name in dict.fromkeys(playlists) if playlist(name) is None],
    )


def create(categories: Iterable[str], playlists: Iterable[str], visibility: str = "") -> None:
    """Create categories and playlists; the latter with this visibility, or that of new videos."""
    for name in categories:
        row = Category.objects.create(name=name)
        audit.record("created", subject=row, after={"name": row.name, "slug": row.slug})
    for name in playlists:
        made = Playlist.objects.create(title=name, visibility=visibility or default_visibility())
        audit.record("created", subject=made, after={"title": made.title, "slug": made.slug})
