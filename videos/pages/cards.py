"""The fields of a video that lists show, as plain rows: model instances would take most of a page's time."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

from videos.models import VideoQuerySet, address_of
from videos.storage.paths import poster_url

COLUMNS = (
    *("pk", "title", "slug", "package_number", "media_key", "poster_version"),
    *("duration", "published_at", "changes_at", "view_count"),
    *("category__name", "category__slug"),
)


class Card(NamedTuple):
    """A public video in a list; duration in seconds."""

    pk: int
    title: str
    slug: str
    package_number: int | None
    media_key: str
    poster_version: int
    duration: float
    published_at: datetime | None
    changes_at: datetime | None
    view_count: int
    category: str | None
    category_slug: str

    @property
    def public_since(self) -> datetime:
        """Until beat notes a publication, its change has the moment."""
        return cast(datetime, self.published_at or self.changes_at)

    @property
    def grant(self) -> str:
        return ""  # lists show only what everybody may watch

    @property
    def url(self) -> str:
        return address_of("watch", self.slug)

    @property
    def category_url(self) -> str:
        return address_of("category", self.category_slug)

    @property
    def poster(self) -> str:
        return poster_url(self)


def cards_of(rows: Iterable[Sequence[Any]] | None) -> list[Card]:
    """Return the cards of rows of JSON, in which moments are texts."""
    return [Card._make((*row[:7], moment_of(row[7]), moment_of(row[8]), *row[9:])) for row in rows or ()]


def moment_of(value: datetime | str | None) -> datetime | None:
    """Return a moment, which is a text in rows of JSON."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def cards(videos: VideoQuerySet) -> list[Card]:
    """Return the cards of these videos, in one query."""
    return [Card(*row) for row in videos.values_list(*COLUMNS)]
