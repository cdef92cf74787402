"""Pages far down a list: they begin behind a row instead of after a number of rows, so each costs the same.

The address has the row's moment and id: `?page=2000&after=1764501600000000-7`. The number is only shown. Up to page 50
links have numbers alone, and addresses without a row are answered on every page.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.paginator import Paginator
from django.db.models import BooleanField
from django.db.models.expressions import RawSQL
from django.http import Http404

from videos.models import VideoQuerySet
from videos.pages.cards import COLUMNS, Card
from vlog.row_ids import row_id

NUMBERED = 50  # pages; from here on links have rows
AFTER, BEFORE = "after", "before"
ROWS = {AFTER, BEFORE}  # the parameters
ROW = re.compile(r"(\d{1,18})-(\d{1,10})", re.ASCII)  # microseconds since 1970, and the id
NUMBER = re.compile(r"[1-9]\d{0,5}", re.ASCII)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIER = '("videos"."published_at", "videos"."id") < (%s, %s)'
LATER = '("videos"."published_at", "videos"."id") > (%s, %s)'


@dataclass(frozen=True)
class Uncounted:
    """The paginator of a list whose length is not known."""

    ELLIPSIS: Any = Paginator.ELLIPSIS
    count: int | None = None


UNCOUNTED = Uncounted()


@dataclass(frozen=True)
class FarPage:
    """A page of which only the neighbours are known; has what templates ask of Django's pages."""

    number: int
    is_last: bool
    paginator: Uncounted = UNCOUNTED

    def has_other_pages(self) -> bool:
        return True

    def has_previous(self) -> bool:
        return self.number > 1

    def has_next(self) -> bool:
        return not self.is_last

    def previous_page_number(self) -> int:
        return self.number - 1

    def next_page_number(self) -> int:
        return self.number + 1


def far_page(videos: VideoQuerySet, query: Mapping[str, str], size: int) -> dict[str, Any]:
    """Return what a list shows for an address with a row. Raises Http404 where it has no such page."""
    number = query.get("page", "")
    side = AFTER if AFTER in query else BEFORE
    moment, pk = _row(query[side])
    if not NUMBER.fullmatch(number):
        raise Http404("No such page")
    rows = list(beside(videos, side, moment, pk).values_list(*COLUMNS)[: size + 1])
    if not rows:
        raise Http404("The list has fewer pages")
    cards = [Card(*row) for row in rows[:size]]
    if side == BEFORE:
        cards.reverse()
    page = FarPage(int(number), is_last=side == AFTER and len(rows) <= size)
    numbers = [1, Paginator.ELLIPSIS, page.number] if page.number > 1 else [1]
    return {"page": page, "cards": cards, "page_numbers": numbers, "steps": steps(page.number, cards)}


def beside(videos: VideoQuerySet, side: str, moment: datetime, pk: int) -> VideoQuerySet:
    """Return the videos on one side of a place in the list, the nearest first."""
    compared = RawSQL(LATER if side == BEFORE else EARLIER, (moment, pk), BooleanField())  # noqa: S611 - constants
    order = ("-published_at", "-pk") if side == AFTER else ("published_at", "pk")
    return videos.filter(compared).order_by(*order)


def steps(number: int, cards: Sequence[Card]) -> dict[str, str]:
    """Return what to add to the links from a page with these cards to the one before and the next; empty up to page 50.

    A card whose publication beat has not noted yet has no place in the order.
    """
    found = {BEFORE: "", AFTER: ""}
    if not cards:
        return found
    if number > NUMBERED + 1 and cards[0].published_at:
        found[BEFORE] = f"&{BEFORE}={_text(cards[0])}"
    if number >= NUMBERED and cards[-1].published_at:
        found[AFTER] = f"&{AFTER}={_text(cards[-1])}"
    return found


def _text(card: Card) -> str:
    assert card.published_at is not None  # noqa: S101 - checked by the caller
    return f"{(card.published_at - EPOCH) // timedelta(microseconds=1)}-{card.pk}"


def _row(text: str) -> tuple[datetime, int]:
    match = ROW.fullmatch(text)
    pk = row_id(match[2]) if match else None
    if match is None or pk is None:
        raise Http404("No such row")
    try:
        return EPOCH + timedelta(microseconds=int(match[1])), pk
    except OverflowError as error:
        raise Http404("No such row") from error
