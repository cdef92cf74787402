from collections.abc import Iterable

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from videos.formatting import absolute, age, clock, clock_down, thousands, views
from videos.models import Video
from videos.pages.cards import Card
from videos.storage import paths

register = template.Library()

for function in (clock, age, views, thousands):
    register.filter(function)
register.simple_tag(absolute)


# A page has dozens of the following, and a template takes ten times as long for each.


@register.simple_tag
def grid(cards: Iterable[Card], eager: int = 0) -> SafeString:
    """Cards side by side; the pictures of the first `eager` ones are fetched at once."""
    items = "\n".join(
        f'<li class="card">{thumb(card, number >= eager)}'
        f'<h2 class="card-title"><a href="{card.url}">{escape(card.title)}</a></h2>{meta(card)}</li>'
        for number, card in enumerate(cards)
    )
    return mark_safe(f'<ul class="grid" role="list">\n{items}\n</ul>')  # noqa: S308 - every text is escaped


@register.simple_tag
def thumb(card: Card, lazy: bool = False) -> SafeString:
    """The picture of a card, with the length."""
    loading = ' loading="lazy"' if lazy else ""
    length = f'<span class="badge"><span class="visually-hidden">Length: </span>{clock(card.duration)}</span>'
    return mark_safe(  # noqa: S308 - an address and a length of our own
        f'<div class="thumb"><img src="{card.poster}" alt="" width="640" height="360"{loading} decoding="async">'
        f"{length if card.duration else ''}</div>"
    )


@register.simple_tag
def meta(card: Card) -> SafeString:
    """The line below a card's title: its category, its age, and how often it was played."""
    parts = [f'<time datetime="{card.published_at.isoformat()}">{age(card.published_at)}</time>']
    if card.category is not None:
        parts.insert(0, f'<a href="{card.category_url}">{escape(card.category)}</a>')
    if card.view_count:
        parts.append(f"<span>{views(card.view_count)}</span>")
    return mark_safe(f'<p class="card-meta">{" ".join(parts)}</p>')  # noqa: S308 - the name is escaped


@register.simple_tag
def transcript(cues: Iterable[tuple[float, str]]) -> SafeString:
    """The lines of a transcript: (start in seconds, text) of each caption."""
    lines = (
        f'<li><a href="?t={int(start)}" data-seek="{start:.3f}"><span class="visually-hidden">Go to </span>'
        f"{clock_down(start)}</a> <span>{escape(text)}</span></li>"
        for start, text in cues
    )
    return mark_safe("\n".join(lines))  # noqa: S308 - every text is escaped


@register.simple_tag
def poster(video: Video) -> str:
    return paths.poster_url(video)


@register.simple_tag
def storyboard(video: Video) -> str:
    return paths.storyboard_url(video)


@register.simple_tag
def master(video: Video) -> str:
    return paths.package_url(video, "master.m3u8")
