"""Words with their times, as Whisper aligns them with the sound: the times of a text's parts, and its pauses. Pure."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from transcoding.engine.formats.webvtt import Caption

PAUSE = 1.0  # seconds without a word, at which a cue ends in any case
BREATH = 0.35  # seconds; a cue ends there rather than elsewhere
INSTANT = 30  # milliseconds, within which no word is said
MAX_TEXT = 200  # characters of one word


class Word(NamedTuple):
    """One word: milliseconds of the video, its text with the space before it, and how sure Whisper is, from 0 to 1."""

    start: int
    end: int
    text: str
    confidence: float


@dataclass(frozen=True)
class Spoken(Caption):
    """A caption of which each word's time is known."""

    words: tuple[Word, ...] = ()

    @property
    def compact(self) -> list[list[Any]]:
        """Return the words as they are stored: [[start_ms, end_ms, word, confidence], …]."""
        return [[word.start, word.end, word.text.strip(), word.confidence] for word in self.words]

    @property
    def confidence(self) -> list[float]:
        """Return the confidence of each word of the text, that of its least sure part."""
        tokens = self.text.split()
        spans = Spans.of(tokens, self.words)
        return [] if spans is None else [spans.confidence(index) for index in range(len(tokens))]


def words_of(rows: Sequence[Sequence[Any]]) -> tuple[Word, ...]:
    """Return words from their JSON."""
    return tuple(Word(int(start), int(end), str(text), float(sure)) for start, end, text, sure in rows)


class Spans:
    """The words of which each token of a text consists. A token is what may stand alone in a line."""

    def __init__(self, words: Sequence[Word], ends: Sequence[int], sums: Sequence[int]) -> None:
        """ends: after how many letters each word ends; sums: likewise, of the tokens, with a 0 before."""
        self.words, self.ends, self.sums = words, ends, sums

    @classmethod
    def of(cls, tokens: Sequence[str], words: Sequence[Word]) -> "Spans | None":
        """Return them; None where the words are those of another text."""
        if not words or _letters("".join(tokens)) != _letters("".join(word.text for word in words)):
            return None
        ends = list(accumulate(len(_letters(word.text)) for word in words))
        return cls(words, ends, [0, *accumulate(len(_letters(token)) for token in tokens)])

    def start(self, token: int) -> float:
        """Return the second at which a token begins."""
        return self.words[self._word_at(self.sums[token])].start / 1000

    def end(self, token: int) -> float:
        return self.words[self._word_at(self.sums[token + 1] - 1)].end / 1000

    def pause_after(self, token: int) -> float:
        """Return the seconds until the next token begins; 0 after the last one, and inside a word."""
        return max(0.0, self.start(token + 1) - self.end(token)) if token + 2 < len(self.sums) else 0.0

    def between(self, first: int, last: int) -> tuple[Word, ...]:
        """Return the words of some tokens, up to the last one."""
        begin, end = self._word_at(self.sums[first]), self._word_at(self.sums[last] - 1) + 1
        return tuple(self.words[begin:end])

    def confidence(self, token: int) -> float:
        return min(word.confidence for word in self.between(token, token + 1))

    def _word_at(self, letter: int) -> int:
        return min(bisect_right(self.ends, letter), len(self.words) - 1)


def _letters(text: str) -> str:
    return "".join(text.split())


def stretches(words: Sequence[Word]) -> Iterator[tuple[Word, ...]]:
    """Yield words in groups between which there is a pause."""
    first = 0
    for index in range(1, len(words)):
        if (words[index].start - words[index - 1].end) / 1000 > PAUSE:
            yield tuple(words[first:index])
            first = index
    if words:
        yield tuple(words[first:])


def text_of(words: Sequence[Word]) -> str:
    return "".join(word.text for word in words).strip()


def within(words: Sequence[Word], start: float, end: float) -> tuple[Word, ...]:
    """Return words in order of time, within a start and an end in seconds.

    Where it cannot tell the times of many words from each other, they share the time in proportion to their length.
    """
    first, last = round(1000 * start), round(1000 * end)
    bounded: list[Word] = []
    for word in words:
        begin = min(max(word.start, first, bounded[-1].end if bounded else first), last)
        bounded.append(word._replace(start=begin, end=min(max(word.end, begin), last)))
    if sum(word.end - word.start < INSTANT for word in bounded) * 3 <= len(bounded):
        return tuple(bounded)
    letters = [0, *accumulate(max(1, len(word.text)) for word in words)]
    times = [first + (last - first) * count // letters[-1] for count in letters]
    return tuple(word._replace(start=times[i], end=times[i + 1]) for i, word in enumerate(words))
