"""The parts of public pages that repeat dozens of times: an included template would take ten times as long for each."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from videos.formatting import age, clock, clock_down, views
from videos.pages.cards import Card

KEPT = 4096  # cards in each process, of about a kilobyte
LAZY = ' loading="lazy"'
STILL = '<span class="still" aria-hidden="true"></span>'  # where chapters.js shows the picture of a moment


class Pieces(NamedTuple):
    """The HTML of a card, in pieces: between them come what may differ each time, loading and age."""

    poster: str
    duration: str
    title: str
    category: str
    public_since: datetime
    views: str


@lru_cache(KEPT)
def _pieces(card: Card, language: str | None) -> Pieces:
    """Return the pieces of a card in a language.

    They are kept by the values of its row, so that a changed row has other ones, and need no notice of a change.
    """
    duration = (
        f'<span class="badge"><span class="visually-hidden">{_("Duration:")} </span>{clock(card.duration)}</span>'
    )
    category = f'<a href="{card.category_url}">{escape(card.category)}</a> ' if card.category is not None else ""
    return Pieces(
        poster=f'<div class="thumb"><img src="{card.poster}" alt="" width="640" height="360"',
        duration=f' decoding="async">{duration if card.duration else ""}</div>',
        title=f'<h2 class="card-title" dir="auto"><a href="{card.url}">{escape(card.title)}</a></h2>',
        category=f'<p class="card-meta">{category}<time datetime="{card.public_since.isoformat()}">',
        public_since=card.public_since,
        views=f"</time> <span>{views(card.view_count)}</span></p>" if card.view_count else "</time></p>",
    )


def grid(cards: Iterable[Card], eager: int = 0) -> SafeString:
    """Render cards in a grid; the posters of the first `eager` ones are not loaded lazily."""
    language = get_language()
    items = "\n".join(_item(_pieces(card, language), number >= eager) for number, card in enumerate(cards))
    return mark_safe(f'<ul class="grid" role="list">\n{items}\n</ul>')  # noqa: S308 - every text is escaped


def _item(card: Pieces, lazy: bool) -> str:
    return (
        f'<li class="card">{card.poster}{LAZY if lazy else ""}{card.duration}{card.title}'
        f"{card.category}{age(card.public_since)}{card.views}</li>"
    )


def thumb(card: Card, lazy: bool = False) -> SafeString:
    """Render the poster of a card, with the duration."""
    kept = _pieces(card, get_language())
    return mark_safe(f"{kept.poster}{LAZY if lazy else ''}{kept.duration}")  # noqa: S308 - every text is escaped


def meta(card: Card) -> SafeString:
    """Render the line below a card's title: its category, its age and its views."""
    kept = _pieces(card, get_language())
    return mark_safe(f"{kept.category}{age(kept.public_since)}{kept.views}")  # noqa: S308 - every text is escaped


def moments(marks: Iterable[tuple[float, str]], stills: bool) -> SafeString:
    """Render links to positions in a video, from the start (in seconds) and the title of each. stills: with pictures."""
    still = STILL if stills else ""
    lines = (
        f'<li><a href="?t={int(start)}" data-seek="{start:.3f}">{still}<span class="time">{clock_down(start)}</span> '
        f'<span dir="auto">{escape(title)}</span></a></li>'
        for start, title in marks
    )
    return mark_safe("\n".join(lines))  # noqa: S308 - every text is escaped
