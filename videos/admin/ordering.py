"""Rows that editors order by dragging or with buttons. The pages say where a row goes by its new neighbour."""

from collections.abc import Callable, Iterable
from typing import Any

from django.http import HttpRequest

from videos.models import placed
from vlog.row_ids import row_id


def number_in(text: str | None) -> int | None:
    """Return an id that was sent; None where it is none."""
    return row_id(text or "")


def wanted_move(request: HttpRequest, order: Callable[[], Iterable[int]]) -> tuple[int, int | None] | None:
    """Return which row is moved, and before which one: None for the end. None where the request moves no row.

    A script sends `move` and `before`, the buttons of the page `up` or `down`.
    """
    data: Any = request.POST
    if (moved := number_in(data.get("move"))) is not None:
        return moved, number_in(data.get("before"))
    step = -1 if "up" in data else 1
    moved = number_in(data.get("up") or data.get("down"))
    ids = list(order())
    if moved not in ids or moved is None:
        return None
    place = max(ids.index(moved) + step, 0)
    rest = placed(ids, [moved], None)[:-1]
    return moved, rest[place] if place < len(rest) else None
