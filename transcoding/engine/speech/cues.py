"""From what Whisper recognizes to cues: inventions are left out, and long texts divided by the usual rules. Pure.

The rules are those of broadcasters (such as the BBC's and Netflix's guides): at most two lines of 42 columns, one to
seven seconds, 20 characters a second, and breaks where a sentence or a clause ends. Wide characters, as those of
Chinese, Japanese and Korean, have two columns.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from typing import Any
from unicodedata import east_asian_width

from transcoding.engine.formats.webvtt import LINE, Caption
from transcoding.engine.speech.words import BREATH, Spans, Spoken, Word, stretches, text_of, words_of

LONGEST, SHORTEST = 7.0, 1.0  # seconds
UNREADABLE = 0.7  # seconds; a shorter cue becomes a part of its neighbour
RATE = 20.0  # characters a second
GAP = 0.08  # seconds between a cue that was prolonged and the next one: two pictures
CLOSE = 0.3  # seconds between cues that may become one

# The cost of a cue, and of its end where the text goes on. A sentence that is cut costs as much as a cue more.
CUE, CLAUSE, ANYWHERE, UNEVEN = 8.0, 2.0, 8.0, 4.0
_SENTENCE = re.compile(r"[.!?…。！？][\"'”’»」』)]*$")  # noqa: RUF001 - punctuation of several scripts
_CLAUSE = re.compile(r"[,;:–—、，；：][\"'”’»」』)]*$")  # noqa: RUF001 - likewise
_CLOSING = "、。，．！？；：」』）】〉》”’)]}…"  # noqa: RUF001 - what no line begins with

# What Whisper writes where nothing is said: the ends of the videos that it has learned from.
_INVENTIONS = re.compile(
    r"thank(s| you)( so much| very much)? for watching|please subscribe|(don't forget to )?(like and )?subscribe.*"
    r"|see you (in the )?next (time|video)|subtitles by .*|transcri(bed|ption) by .*|captions? by .*"
    r"|untertitel(ung)? (der|des|von|im auftrag) .*|vielen dank fürs zuschauen|sous-titr(es|age) .*"
    r"|merci d'avoir regardé.*|subtítulos (por|de) .*|gracias por ver.*|legendas pel[ao] .*|sottotitoli .*"
    r"|редактор субтитров .*|продолжение следует|ご視聴ありがとうございました|字幕.*|请不吝点赞.*"
    r"|시청해주셔서 감사합니다|you|bye( bye)?|\W*"
)
QUIET = 0.004  # of full scale, the root of the mean square: as loud as a room without speech
NO_SPEECH = 0.5  # Whisper's probability
LOOP, LOOP_OF_ONE_WORD = 4, 8  # captions with the same text, one after the other
_LOOP = re.compile(r"\b(\S.{0,80}?)(?:\W+\1\b){4,}", re.IGNORECASE)


@dataclass(frozen=True)
class Recognized:
    """What Whisper recognizes in one go: seconds, text, its probability that nothing is said, and the loudness.

    loudness: the root of the mean square of the samples, of full scale. words: with their times, where they are known.
    """

    start: float
    end: float
    text: str
    no_speech: float = 0.0
    loudness: float = 1.0
    words: tuple[Word, ...] = ()


def recognized_of(row: Sequence[Any]) -> Recognized:
    """Return what Whisper recognizes from its JSON."""
    start, end, text, no_speech, loudness, words = row
    return Recognized(start, end, text, no_speech, loudness, words_of(words))


def without_inventions(recognized: Sequence[Recognized], prompt: str = "") -> list[Recognized]:
    """Return what was said: without phrases over silence, and without repetitions that go on and on.

    prompt: what Whisper was given, of which it repeats parts over silence.
    """
    real = [each for each in recognized if not _is_invented(each, _words(prompt))]
    kept: list[Recognized] = []
    for words, repeated in groupby(real, key=lambda each: _words(each.text)):
        found = list(repeated)
        most = LOOP if " " in words else LOOP_OF_ONE_WORD
        kept += found[:1] if len(found) >= most else found
    return [replace(each, text=_LOOP.sub(r"\1", each.text)) for each in kept]


def _is_invented(each: Recognized, prompt: str) -> bool:
    words = _words(each.text)
    if each.loudness >= QUIET and each.no_speech <= NO_SPEECH:
        return False
    return _INVENTIONS.fullmatch(words) is not None or f" {words} " in f" {prompt} "


def _words(text: str) -> str:
    return " ".join(re.sub(r"[^\w'-]+", " ", text.lower()).split())


def readable(recognized: Iterable[Recognized | Caption], duration: float) -> list[Caption]:
    """Return what was recognized as captions, in order. duration: of the video, in seconds.

    Long texts are divided, by the times of their words where those are known, else in proportion to the number of
    characters. What Whisper returns after the end of the video is cut.
    """
    captions: list[Caption] = []
    for speech in sorted(recognized, key=lambda each: each.start):
        start, end = max(0.0, speech.start), min(speech.end, duration)
        if start < end and speech.text.strip():
            words = speech.words if isinstance(speech, Recognized | Spoken) else ()
            is_timed = Spans.of([speech.text], words) is not None and words[-1].end <= 1000 * duration
            captions += _timed(words) if is_timed else _divided(start, end, speech.text)
    return list(_prolonged(_joined(captions), duration))


def _timed(words: Sequence[Word]) -> Iterator[Caption]:
    """Yield words in captions of at most two lines each, which end at pauses."""
    for stretch in stretches(words):
        tokens = tokens_of(text_of(stretch))
        if (spans := Spans.of(tokens, stretch)) is None:
            continue  # there are no letters
        first = 0
        for part in _best(tokens, spans):
            last = first + len(part)
            said = spans.between(first, last)
            yield Spoken(spans.start(first), spans.end(last - 1), _in_lines(part), said)
            first = last


def _divided(start: float, end: float, text: str) -> Iterator[Caption]:
    """Yield a text in captions of at most two lines each."""
    tokens = tokens_of(text)
    parts = [_in_lines(part) for part in _best(tokens, _Shares(tokens, end - start))]
    letters = sum(map(len, parts))
    ends = [start + (end - start) * count / letters for count in accumulate(map(len, parts))]
    for part, begin, finish in zip(parts, [start, *ends], [*ends[:-1], end], strict=False):
        yield Caption(begin, finish, part)


def tokens_of(text: str) -> list[str]:
    """Return the parts between which a text may be broken, each with the space that follows it."""
    tokens: list[str] = []
    for word in text.split():
        parts: list[str] = []
        for letter in word:
            is_joined = parts and not (_is_wide(letter) or _is_wide(parts[-1][-1]))
            if parts and (letter in _CLOSING or (is_joined and width(parts[-1]) < LINE)):
                parts[-1] += letter
            else:
                parts.append(letter)
        tokens += parts
        tokens[-1] += " "
    return tokens


def in_lines(text: str) -> str:
    """Return a text in one line or two, if it fits."""
    return _in_lines(tokens_of(text))


def width(text: str) -> int:
    """Return the columns that a text needs."""
    return sum(2 if _is_wide(letter) else 1 for letter in text)


def _is_wide(letter: str) -> bool:
    return east_asian_width(letter) in "WF"


class _Shares:
    """The times of tokens of which only the whole time is known: each has a share in proportion to its columns."""

    def __init__(self, tokens: Sequence[str], seconds: float) -> None:
        self.columns = _Columns(tokens)
        self.second = seconds / (self.columns.of(0, len(tokens)) or 1)  # of a column

    def start(self, token: int) -> float:
        return self.columns.sums[token] * self.second

    def end(self, token: int) -> float:
        return (self.columns.sums[token + 1] - self.columns.spaces[token]) * self.second

    def pause_after(self, token: int) -> float:
        return 0.0


def _best(tokens: Sequence[str], times: Spans | _Shares) -> list[Sequence[str]]:
    """Divide tokens into those of each cue, at the least cost."""
    columns = _Columns(tokens)
    costs, begins = [0.0], [0]
    for end in range(1, len(tokens) + 1):
        ending = 0.0 if end == len(tokens) else _cost_of_break(tokens[end - 1], times.pause_after(end - 1))
        best, begin = float("inf"), end - 1
        for start in range(end - 1, -1, -1):
            if end - start > 1 and not columns.fit(start, end):
                break
            share = columns.of(start, end)
            late = max(0.0, times.end(end - 1) - times.start(start) - LONGEST)
            cost = costs[start] + CUE + UNEVEN * (1 - share / (2 * LINE)) ** 2 + 1000 * late + ending
            if cost < best:
                best, begin = cost, start
        costs.append(best)
        begins.append(begin)
    return list(_chain(tokens, begins))[::-1]


def _chain(tokens: Sequence[str], begins: Sequence[int]) -> Iterator[Sequence[str]]:
    """Yield the tokens of each cue, the last one first. begins: by its end, where the best cue before it begins."""
    end = len(tokens)
    while end:
        yield tokens[begins[end] : end]
        end = begins[end]


class _Columns:
    """How many columns the tokens of a text need."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.spaces = [len(token) - len(token.rstrip()) for token in tokens]
        self.sums = [0, *accumulate(map(width, tokens))]

    def of(self, start: int, end: int) -> int:
        """Return the columns of the tokens from one index up to another, without the space that follows them."""
        return self.sums[end] - self.sums[start] - self.spaces[end - 1]

    def fit(self, start: int, end: int) -> bool:
        """Return whether they have room in two lines."""
        if self.of(start, end) <= LINE:
            return True
        first = bisect_right(self.sums, self.sums[start] + LINE + 1, start + 1, end) - 1  # the last one may be a space
        while first > start + 1 and self.of(start, first) > LINE:
            first -= 1
        return first > start and self.of(start, first) <= LINE and self.of(first, end) <= LINE


def _cost_of_break(token: str, pause: float = 0.0) -> float:
    if _SENTENCE.search(token.rstrip()):
        return 0.0
    if pause >= BREATH:
        return 0.0 if _CLAUSE.search(token.rstrip()) else CLAUSE
    return CLAUSE if _CLAUSE.search(token.rstrip()) else ANYWHERE


def _halves(tokens: Sequence[str]) -> Iterator[int]:
    """Yield the places at which tokens may be broken into two lines."""
    for place in range(1, len(tokens)):
        first, second = ("".join(part).rstrip() for part in (tokens[:place], tokens[place:]))
        if width(first) <= LINE and width(second) <= LINE:
            yield place


def _in_lines(tokens: Sequence[str]) -> str:
    """Return tokens as one line, or as two of about the same length, broken after a clause if there is one near."""
    text = "".join(tokens).rstrip()
    places = [] if width(text) <= LINE else list(_halves(tokens))
    if not places:
        return text
    place = min(places, key=lambda each: _cost_of_line(tokens, each))
    return "\n".join("".join(part).rstrip() for part in (tokens[:place], tokens[place:]))


def _cost_of_line(tokens: Sequence[str], place: int) -> float:
    first, second = ("".join(part).rstrip() for part in (tokens[:place], tokens[place:]))
    return abs(width(first) - width(second)) + 3 * _cost_of_break(first)


def _joined(captions: Iterable[Caption]) -> list[Caption]:
    """Return captions, of which those that are too short to be read are a part of the one before."""
    joined: list[Caption] = []
    for caption in captions:
        last = joined[-1] if joined else None
        if last is not None and _belong_together(last, caption):
            tokens = tokens_of(f"{last.text} {caption.text}")
            joined[-1] = _as_one(last, caption, _in_lines(tokens))
        else:
            joined.append(caption)
    return joined


def _as_one(one: Caption, other: Caption, text: str) -> Caption:
    if isinstance(one, Spoken) and isinstance(other, Spoken):
        return Spoken(one.start, other.end, text, (*one.words, *other.words))
    return Caption(one.start, other.end, text)


def _belong_together(one: Caption, other: Caption) -> bool:
    is_short = min(one.end - one.start, other.end - other.start) < UNREADABLE
    is_near = other.start - one.end < CLOSE and other.end - one.start <= LONGEST
    tokens = tokens_of(f"{one.text} {other.text}")
    return is_short and is_near and _Columns(tokens).fit(0, len(tokens))


def _prolonged(captions: Sequence[Caption], duration: float) -> Iterator[Caption]:
    """Yield captions that stay long enough to be read, where the next one leaves time for it."""
    following = [*(caption.start - GAP for caption in captions[1:]), duration]
    for caption, limit in zip(captions, following, strict=False):
        needed = min(max(SHORTEST, len(caption.text) / RATE), LONGEST)
        yield replace(caption, end=max(caption.end, min(caption.start + needed, limit)))
