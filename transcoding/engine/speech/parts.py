"""Long recordings in parts: where they begin and end, and how their words are joined. Pure.

Neighbouring parts overlap, because no word can be recognized of which the sound is cut. In the overlap both have
the same words, or nearly: the text goes over from one to the other at a word that both have at the same time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from math import ceil

from transcoding.engine.speech.cues import Recognized
from transcoding.engine.speech.words import Word, text_of

LONG = 12 * 60.0  # seconds; a shorter recording is transcribed whole
SHARED = 5 * 60.0  # seconds of a part where several workers may share the recording
ALONE = 10 * 60.0  # and where one works alone, so that a kill costs no more than that
OVERLAP = 6.0  # seconds that are transcribed on each side of a part besides
SAME_TIME = 0.8  # seconds between the times at which two parts have the same word


@dataclass(frozen=True)
class Part:
    """What is recognized of a part: which seconds of the video it stands for, and what is said in and around them."""

    begin: float
    end: float
    said: tuple[Recognized, ...] = ()


def planned(duration: float, workers: int) -> list[tuple[float, float]]:
    """Return the seconds of each part of a recording: of equal length, for so many workers. Short ones have one."""
    if duration <= LONG:
        return [(0.0, duration)]
    count = ceil(duration / (SHARED if workers > 1 else ALONE))
    if workers > 1:
        count = min(ceil(count / workers) * workers, int(duration / (SHARED / 2)))  # none waits for the last part
    bounds = [round(duration * number / count, 3) for number in range(count)]
    return list(zip(bounds, [*bounds[1:], duration], strict=True))


def audible(begin: float, end: float, duration: float) -> tuple[float, float]:
    """Return the seconds that are transcribed for a part."""
    return max(0.0, begin - OVERLAP), min(duration, end + OVERLAP)


def joined(parts: Sequence[Part]) -> list[Recognized]:
    """Return what is said in all parts, in the order of the video."""
    ordered = sorted(parts, key=lambda part: part.begin)
    since = [float("-inf")] * len(ordered)
    until = [float("inf")] * len(ordered)
    for number in range(1, len(ordered)):
        until[number - 1], since[number] = _seam(ordered[number - 1], ordered[number])
    return [
        kept
        for number, part in enumerate(ordered)
        for each in part.said
        for kept in _between(each, since[number], until[number])
    ]


def _seam(left: Part, right: Part) -> tuple[float, float]:
    """Return up to which middle of a word the left part is taken, and from which on the right one; milliseconds."""
    border = 1000 * right.begin
    first, second = (_near(part, border) for part in (left, right))
    matcher = SequenceMatcher(None, [_plain(word) for word in first], [_plain(word) for word in second], autojunk=False)
    both = [
        (first[block.a + place], second[block.b + place])
        for block in matcher.get_matching_blocks()
        for place in range(block.size)
    ]
    same = [(one, other) for one, other in both if abs(one.start - other.start) <= 1000 * SAME_TIME]
    if not same:
        return border, border
    one, other = min(same, key=lambda pair: abs(_middle(pair[0]) - border))
    return _middle(one) + 0.5, _middle(other) + 0.5


def _near(part: Part, border: float) -> list[Word]:
    words = (word for each in part.said for word in each.words)
    return [word for word in words if abs(_middle(word) - border) <= 1000 * OVERLAP]


def _plain(word: Word) -> str:
    return "".join(filter(str.isalnum, word.text.lower()))


def _middle(word: Word) -> float:
    return (word.start + word.end) / 2


def _between(each: Recognized, since: float, until: float) -> Iterator[Recognized]:
    """Yield the part of what is said between two moments, in milliseconds; nothing where there is none."""
    if not each.words:
        if since <= 500 * (each.start + each.end) < until:
            yield each
        return
    kept = tuple(word for word in each.words if since <= _middle(word) < until)
    if len(kept) == len(each.words):
        yield each
    elif kept:
        start = each.start if kept[0] is each.words[0] else kept[0].start / 1000
        end = each.end if kept[-1] is each.words[-1] else kept[-1].end / 1000
        yield replace(each, start=start, end=end, text=text_of(kept), words=kept)
