"""Rows in an order that editors choose: each says where it goes by the row that it stands before."""

from collections.abc import Collection, Sequence
from typing import Any

from django.db import models


def placed(order: Sequence[int], moved: Sequence[int], before: int | None) -> list[int]:
    """Return the order with these ids before another one, or at the end where that is not in it."""
    rest = [pk for pk in order if pk not in moved]
    place = rest.index(before) if before in rest else len(rest)
    return [*rest[:place], *moved, *rest[place:]]


def kept_beside(order: Sequence[int], wanted: Sequence[int], kept: Collection[int]) -> list[int]:
    """Return the ids that are wanted, and those to keep, each after the one that it stands behind in the order."""
    found = list(wanted)
    for number, pk in enumerate(order):
        if pk in kept and pk not in found:
            earlier = next((other for other in reversed(order[:number]) if other in found), None)
            found.insert(0 if earlier is None else found.index(earlier) + 1, pk)
    return found


def write_positions(rows: Sequence[Any]) -> bool:
    """Write the positions of these rows, from 1 on; False where they are so already. They are locked."""
    changed = []
    for position, row in enumerate(rows, start=1):
        if row.position != position:
            row.position = position
            changed.append(row)
    if changed:
        models.QuerySet(type(changed[0])).bulk_update(changed, ["position"])
    return bool(changed)
