"""Two texts of one caption track, compared cue by cue. Pure."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import Protocol, TypeVar

NEAR = 16  # cues that are compared with each other one: those that begin last before its end
FAR = 60.0  # seconds by which a cue with the same text may have moved
SHARED = 0.2  # of the shorter of two cues: the least overlap of those that belong together
SAME_TIME = 0.001  # seconds, the unit of all formats
COVERED = 0.5  # of a cue


class Timed(Protocol):
    """A cue: seconds and text."""

    @property
    def start(self) -> float: ...

    @property
    def end(self) -> float: ...

    @property
    def text(self) -> str: ...


Item = TypeVar("Item", bound=Timed)


class Change(StrEnum):
    SAME = "same"
    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True)
class Pair:
    """The index of a cue in the old text and that of its counterpart in the new one; None where there is none."""

    old: int | None
    new: int | None
    change: Change


def compare(old: Sequence[Timed], new: Sequence[Timed]) -> list[Pair]:
    """Return the pairs of two texts in the order of time; both are in the order of their starts. O(n log n).

    Cues belong together if they are shown at the same time and have the same text, else if they have the same text and
    are near, else if they are shown at the same time.
    """
    found: dict[int, int] = {}
    overlapping = sorted(_overlapping(old, new), reverse=True)
    _match(found, ((i, j) for is_same, _, i, j in overlapping if is_same))
    _match(found, _moved(old, new, found))
    _match(found, ((i, j) for is_same, _, i, j in overlapping if not is_same))
    pairs = [Pair(i, j, _change(old[i], new[j])) for i, j in found.items()]
    pairs += [Pair(i, None, Change.REMOVED) for i in range(len(old)) if i not in found]
    used = set(found.values())
    pairs += [Pair(None, j, Change.ADDED) for j in range(len(new)) if j not in used]
    return sorted(pairs, key=lambda pair: _start(pair, old, new))


def _overlapping(old: Sequence[Timed], new: Sequence[Timed]) -> Iterator[tuple[bool, float, int, int]]:
    """Yield for cues that overlap whether their texts are the same, the overlap, and their indexes."""
    starts = [cue.start for cue in new]
    last_ends = list(accumulate((cue.end for cue in new), max))  # of a cue and of all before it
    for i, cue in enumerate(old):
        for j in _before(starts, cue.end):
            if last_ends[j] <= cue.start:
                break
            overlap = min(cue.end, new[j].end) - max(cue.start, new[j].start)
            shorter = min(cue.end - cue.start, new[j].end - new[j].start)
            if overlap > 0 and overlap >= SHARED * shorter:
                longer = max(cue.end, new[j].end) - min(cue.start, new[j].start)
                yield _words(cue) == _words(new[j]), overlap / longer, i, j


def _before(starts: Sequence[float], end: float) -> range:
    """Return the indexes of the last cues that begin before a time, the last one first."""
    last = bisect_left(starts, end) - 1
    return range(last, max(-1, last - NEAR), -1)


def _moved(old: Sequence[Timed], new: Sequence[Timed], found: dict[int, int]) -> Iterator[tuple[int, int]]:
    """Yield cues that have the same text and are not far from each other, in order."""
    used, places = set(found.values()), defaultdict[str, list[int]](list)
    for j in range(len(new) - 1, -1, -1):
        if j not in used:
            places[_words(new[j])].append(j)
    for i in range(len(old)):
        if i in found:
            continue
        left = places[_words(old[i])]
        while left and new[left[-1]].start < old[i].start - FAR:
            left.pop()
        if left and new[left[-1]].start <= old[i].start + FAR:
            yield i, left.pop()


def _match(found: dict[int, int], candidates: Iterable[tuple[int, int]]) -> None:
    used = set(found.values())
    for i, j in candidates:
        if i not in found and j not in used:
            found[i] = j
            used.add(j)


def _words(cue: Timed) -> str:
    return " ".join(cue.text.split())


def _change(old: Timed, new: Timed) -> Change:
    times = abs(old.start - new.start) <= SAME_TIME and abs(old.end - new.end) <= SAME_TIME
    return Change.SAME if times and old.text == new.text else Change.CHANGED


def _start(pair: Pair, old: Sequence[Timed], new: Sequence[Timed]) -> float:
    return old[pair.old].start if pair.old is not None else new[pair.new or 0].start


def advised(pairs: Sequence[Pair], old: Sequence[Timed], new: Sequence[Timed], kept: Collection[int]) -> set[int]:
    """Return the indexes of the pairs whose new cue is to be taken, if these old cues are kept.

    A cue that is added where a kept one is shown would say the same twice, so it is left out.
    """
    staying = sorted(kept, key=lambda i: old[i].start)
    starts = [old[i].start for i in staying]

    def is_covered(cue: Timed) -> bool:
        near = (old[staying[place]] for place in _before(starts, cue.end))
        return any(_covers(each, cue) for each in near)

    taken = set()
    for number, pair in enumerate(pairs):
        is_new = pair.old is None and pair.new is not None and not is_covered(new[pair.new])
        if is_new or (pair.old is not None and pair.old not in kept and pair.change != Change.SAME):
            taken.add(number)
    return taken


def _covers(kept: Timed, cue: Timed) -> bool:
    return min(kept.end, cue.end) - max(kept.start, cue.start) > COVERED * (cue.end - cue.start)


def merged(pairs: Sequence[Pair], old: Sequence[Item], new: Sequence[Item], taken: Collection[int]) -> list[Item]:
    """Return the old text with the new cues of the taken pairs, in the order of starts."""
    cues = []
    for number, pair in enumerate(pairs):
        if number in taken and pair.new is not None:
            cues.append(new[pair.new])
        elif number not in taken and pair.old is not None:
            cues.append(old[pair.old])
    return sorted(cues, key=lambda cue: cue.start)
