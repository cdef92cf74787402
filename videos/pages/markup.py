"""The parts of public pages that repeat dozens of times: an included template would take ten times as long for each."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from html import escape
from typing import NamedTuple

from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from transcoding.steps.tracks import shown_label
from videos.formatting import age, clock, clock_down, views
from videos.pages.cards import Card
from videos.pages.search import Hit, Moment

KEPT = 4096  # cards in each process, of about a kilobyte
LAZY = ' loading="lazy"'
STILL = '<span class="still" aria-hidden="true"></span>'  # where chapters.js shows the picture of a moment
EAGER_RESULTS = 5  # of a search, about as many as a screen shows


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
    return f'<li class="card">{_thumb(card, lazy)}{card.title}{_meta(card)}</li>'


def _thumb(card: Pieces, lazy: bool) -> str:
    return f"{card.poster}{LAZY if lazy else ''}{card.duration}"


def _meta(card: Pieces) -> str:
    return f"{card.category}{age(card.public_since)}{card.views}"


def thumb(card: Card, lazy: bool = False) -> SafeString:
    """Render the poster of a card, with the duration."""
    return mark_safe(_thumb(_pieces(card, get_language()), lazy))  # noqa: S308 - every text is escaped


def meta(card: Card) -> SafeString:
    """Render the line below a card's title: its category, its age and its views."""
    return mark_safe(_meta(_pieces(card, get_language())))  # noqa: S308 - every text is escaped


def results(hits: Iterable[Hit]) -> SafeString:
    """Render what a search found, an item of a list for each."""
    language, at = get_language(), _("Caption at")
    items = "\n".join(
        _result(hit, _pieces(hit.card, language), at, number >= EAGER_RESULTS) for number, hit in enumerate(hits)
    )
    return mark_safe(items)  # noqa: S308 - every text is escaped


def _result(hit: Hit, card: Pieces, at: str, lazy: bool) -> str:
    snippet = f'<p class="snippet">{hit.snippet}</p>' if hit.snippet else ""
    return (
        f'<li class="result card">{_thumb(card, lazy)}<div>'
        f'<h2 class="card-title" dir="auto"><a href="{hit.card.url}">{hit.title}</a></h2>'
        f"{_meta(card)}{snippet}{_moment(hit.card, hit.moment, at) if hit.moment else ''}</div></li>"
    )


def _moment(card: Card, moment: Moment, at: str) -> str:
    track = moment.track
    language = f' lang="{escape(track.language)}"' if track.language != "und" else ""
    return (
        f'<p class="moment"><a href="{card.url}?t={moment.seconds}&amp;captions={track.number}">'
        f'<b><span class="visually-hidden">{at} </span>{clock(moment.seconds)}</b> '
        f'<span{language}>{moment.text}</span></a> <span class="track">{escape(shown_label(track))}</span></p>'
    )


def moments(marks: Iterable[tuple[float, str]], stills: bool) -> SafeString:
    """Render links to positions in a video, from the start (in seconds) and the title of each, and their pictures."""
    still = STILL if stills else ""
    lines = (
        f'<li><a href="?t={int(start)}" data-seek="{start:.3f}">{still}<span class="time">{clock_down(start)}</span> '
        f'<span dir="auto">{escape(title)}</span></a></li>'
        for start, title in marks
    )
    return mark_safe("\n".join(lines))  # noqa: S308 - every text is escaped
