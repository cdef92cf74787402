"""The parts of public pages that repeat dozens of times: an included template would take ten times as long for each."""

from collections.abc import Iterable

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from videos.formatting import age, clock, clock_down, views
from videos.pages.cards import Card


def grid(cards: Iterable[Card], eager: int = 0) -> SafeString:
    """Render cards in a grid; the posters of the first `eager` ones are not loaded lazily."""
    items = "\n".join(
        f'<li class="card">{thumb(card, number >= eager)}'
        f'<h2 class="card-title" dir="auto"><a href="{card.url}">{escape(card.title)}</a></h2>{meta(card)}</li>'
        for number, card in enumerate(cards)
    )
    return mark_safe(f'<ul class="grid" role="list">\n{items}\n</ul>')  # noqa: S308 - every text is escaped


def thumb(card: Card, lazy: bool = False) -> SafeString:
    """Render the poster of a card, with the duration."""
    loading = ' loading="lazy"' if lazy else ""
    duration = (
        f'<span class="badge"><span class="visually-hidden">{_("Duration:")} </span>{clock(card.duration)}</span>'
    )
    return mark_safe(  # noqa: S308 - an address of this site and a number
        f'<div class="thumb"><img src="{card.poster}" alt="" width="640" height="360"{loading} decoding="async">'
        f"{duration if card.duration else ''}</div>"
    )


def meta(card: Card) -> SafeString:
    """Render the line below a card's title: its category, its age and its views."""
    parts = [f'<time datetime="{card.public_since.isoformat()}">{age(card.public_since)}</time>']
    if card.category is not None:
        parts.insert(0, f'<a href="{card.category_url}">{escape(card.category)}</a>')
    if card.view_count:
        parts.append(f"<span>{views(card.view_count)}</span>")
    return mark_safe(f'<p class="card-meta">{" ".join(parts)}</p>')  # noqa: S308 - the name is escaped


def moments(marks: Iterable[tuple[float, str]]) -> SafeString:
    """Render links to positions in a video, from the start (in seconds) and the title of each."""
    lines = (
        f'<li><a href="?t={int(start)}" data-seek="{start:.3f}"><span class="time">{clock_down(start)}</span> '
        f"{escape(title)}</a></li>"
        for start, title in marks
    )
    return mark_safe("\n".join(lines))  # noqa: S308 - every text is escaped
