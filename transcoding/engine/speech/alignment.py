"""A plain transcript gets times: its words are compared with those that Whisper has recognized. Pure."""

import unicodedata
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import accumulate

from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.speech.cues import Recognized, readable, tokens_of
from transcoding.engine.speech.words import Word

MAX_WORDS = 150_000  # ten hours of fast speech
FOUND = 0.2  # of the words, at least; else it is another text
SURE = 1.0  # the confidence of what a person wrote


class NotAligned(Exception):
    """The text cannot be aligned with the sound; the message says why."""


def aligned(text: str, heard: Sequence[Word], duration: float) -> list[Caption]:
    """Return a text as captions of a video of so many seconds, by the times of recognized words. Raises NotAligned.

    Words that were recognized otherwise, or not at all, share the time between those that were. A line of the text
    begins a caption.
    """
    lines = [tokens for line in _clean(text).splitlines() if (tokens := tokens_of(line))]
    tokens = [token for line in lines for token in line]
    if not tokens:
        raise NotAligned("The file has no text.")
    if len(tokens) > MAX_WORDS:
        raise NotAligned(f"The text has {len(tokens)} words, and at most {MAX_WORDS} are aligned.")
    words = _timed(tokens, heard)
    said, first = [], 0
    for line in lines:
        own = tuple(words[first : first + len(line)])
        said.append(Recognized(own[0].start / 1000, own[-1].end / 1000, "".join(line).strip(), words=own))
        first += len(line)
    return readable(said, duration)


def _clean(text: str) -> str:
    """Return a text without control characters and marks that turn its direction."""
    return "".join(letter if letter in "\n\t" or unicodedata.category(letter)[0] != "C" else " " for letter in text)


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).lower()))


def _timed(tokens: Sequence[str], heard: Sequence[Word]) -> list[Word]:
    """Return the tokens with times."""
    pieces = [(word, piece) for word in heard for piece in tokens_of(word.text)]
    matcher = SequenceMatcher(None, [_plain(token) for token in tokens], [_plain(piece) for _, piece in pieces])
    found = {
        block.a + place: pieces[block.b + place][0]
        for block in matcher.get_matching_blocks()
        for place in range(block.size)
        if _plain(tokens[block.a + place])
    }
    if len(found) < FOUND * len(tokens):
        raise NotAligned(
            "The text and what Whisper recognized have too few words in common. Is it the text of this video, in the "
            "language that is spoken?"
        )
    begin, end = heard[0].start, heard[-1].end
    return list(_filled(tokens, found, begin, end))


def _filled(tokens: Sequence[str], found: dict[int, Word], begin: int, end: int) -> Iterator[Word]:
    """Yield all tokens: those that were found with their times, and those between them with shares of the rest."""
    last, place = begin, 0
    anchors = [*sorted(found), len(tokens)]
    for anchor in anchors:
        limit = max(last, found[anchor].start if anchor < len(tokens) else end)
        between = tokens[place:anchor]
        letters = [0, *accumulate(max(1, len(token.strip())) for token in between)]
        for number, token in enumerate(between):
            start, stop = (last + (limit - last) * letters[number + side] // letters[-1] for side in (0, 1))
            yield Word(start, stop, token, SURE)
        if anchor < len(tokens):
            word = found[anchor]
            start = max(limit, word.start)
            last = max(start, word.end)
            yield Word(start, last, tokens[anchor], SURE)
        place = anchor + 1
