"""Subtitles of other formats: from their bytes or events to captions that contain nothing but text. Pure."""

import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pysubs2
from pysubs2.exceptions import FormatAutodetectionError, Pysubs2Error
from pysubs2.formats import autodetect_format
from pysubs2.formats.substation import parse_tags

from transcoding.engine.formats import characters, encodings
from transcoding.engine.formats.webvtt import Caption

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa", ".ttml", ".dfxp", ".smi", ".sami", ".sbv")
FORMATS = {
    "srt": "SubRip",
    "vtt": "WebVTT",
    "ass": "ASS",
    "ssa": "SSA",
    "ttml": "TTML",
    "sami": "SAMI",
    "sbv": "SBV",  # YouTube's, which is read here
}

MAX_BYTES = 10 << 20  # of the text of one track; two hours of speech have 150 kB
MAX_CUES = 50_000  # of one track: a day has 43 200 of two seconds
MAX_TEXT = 1_000  # characters of one cue

_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf\x27\x1c", b"Rar!")
_SCRIPT = re.compile(r"<(script|style)\b[^<>]{0,200}>.{0,2000}?</\1\s{0,9}>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z!?][^<>]{0,500}>|<[\d:.]{0,20}>")
_SBV = re.compile(r"(\d{1,3}):([0-5]\d):([0-5]\d\.\d{1,3}),(\d{1,3}):([0-5]\d):([0-5]\d\.\d{1,3})")
_TTML_NAMESPACES = re.compile(r"http://www\.w3\.org/20\d\d/\d\d/ttaf1")  # of drafts, which DFXP files have
_BRACE = re.compile(r"\{(?!\\)")  # text, except in ASS; with a backslash, a tag that other formats have taken from ASS
_LITERAL_BRACE = "\ufdd0"  # no character of a text; what stands for such a brace among tags
_BLANK = re.compile(r"\n[ \t]*\n")


class UnreadableText(Exception):
    """The subtitles cannot be used; the message tells the editor why."""


@dataclass(frozen=True)
class Event:
    """A subtitle as its source has it: start and end in seconds, the text as ASS writes it."""

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Subtitles:
    """Captions in order, and sentences for the editor about what was left out."""

    captions: tuple[Caption, ...]
    notes: tuple[str, ...] = ()


def read(data: bytes, language: str = "und") -> Subtitles:
    """Return the subtitles in the bytes of a file, whatever its encoding; raises UnreadableText."""
    if len(data) > MAX_BYTES:
        raise UnreadableText(f"It is larger than {MAX_BYTES >> 20} MB, and subtitles are much smaller.")
    if not data.strip():
        raise UnreadableText("It is empty.")
    if data.startswith(_ARCHIVES):
        raise UnreadableText("It is an archive. Unpack it, and send the file with the captions.")
    encoding = encodings.encoding_of(data, language)
    raw = data.decode(encoding, "replace")
    text = characters.cleaned(raw)
    if not characters.is_readable(text):
        raise UnreadableText("Its encoding is not known. Save it as UTF-8.")
    text = _TTML_NAMESPACES.sub("http://www.w3.org/ns/ttml", text)
    name = _format_of(text)
    found = plain(_sbv(text) if name == "sbv" else _events(text, name))
    notes = [] if encoding.startswith("utf") else [f"Its encoding is not UTF-8; it was read as {encoding}."]
    if characters.has_hidden(raw):
        notes.append("Control characters, and marks that turn the direction of the text, were left out.")
    return Subtitles(found.captions, (*notes, *found.notes))


def _format_of(text: str) -> str:
    if _SBV.fullmatch(text.lstrip().partition("\n")[0].strip()):
        return "sbv"
    try:
        name = autodetect_format(text[:10_000])
    except FormatAutodetectionError:
        name = ""
    if name not in FORMATS:
        raise UnreadableText(f"It is none of the formats that are known: {', '.join(FORMATS.values())}.")
    return name


def _events(text: str, name: str) -> list[Event]:
    text = _for_pysubs2(text, name)
    try:
        found = pysubs2.SSAFile.from_string(text, format_=name, keep_html_tags=True)
    except NotImplementedError as error:  # TTML with times in frames or ticks
        raise UnreadableText(f"It is {FORMATS[name]} with times of a kind that is not known.") from error
    except (Pysubs2Error, ValueError, LookupError, ArithmeticError, SyntaxError, AttributeError, TypeError) as error:
        raise UnreadableText(f"It is damaged: it is no {FORMATS[name]} that can be read.") from error
    return [Event(each.start / 1000, each.end / 1000, _body(each.text, name)) for each in found if not each.is_comment]


def _for_pysubs2(text: str, name: str) -> str:
    """Return a text without what pysubs2 misunderstands."""
    if name == "ttml":  # it knows the attribute under another name
        return re.sub(r"\sdur=", " duration=", text)
    if name == "vtt":  # it takes a last line of digits for the number of the next cue, which only SubRip requires
        text = re.sub(r"^(?=.*-->)", "0\n", text, flags=re.MULTILINE)
    return f"{text.rstrip()}\n\n0\n" if name in ("vtt", "srt") else text


def _sbv(text: str) -> Iterator[Event]:
    for block in _BLANK.split(text):
        times, _, words = block.strip().partition("\n")
        if (found := _SBV.fullmatch(times.strip())) is not None:
            numbers = [float(part) for part in found.groups()]
            start, end = (
                3600 * hours + 60 * minutes + seconds for hours, minutes, seconds in (numbers[:3], numbers[3:])
            )
            text = words.replace("{", _LITERAL_BRACE).replace("[br]", "\\N").replace("\n", "\\N")
            yield Event(start, end, text)


def _seconds(hours: str, minutes: str, seconds: str) -> float:
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def _body(text: str, name: str) -> str:
    """Return the text of an event, without what pysubs2 takes for a part of it, and with its entities resolved."""
    if name == "vtt":  # a blank line ends a cue; what follows is a comment or the name of the next one
        text = _BLANK.split(text.replace("\\N", "\n"), 1)[0]
    if name in ("ass", "ssa"):
        return text.replace("\\{", _LITERAL_BRACE)
    return _BRACE.sub(_LITERAL_BRACE, html.unescape(text) if name in ("vtt", "srt") else text)


def plain(events: Iterable[Event], *, is_typed: bool = False) -> Subtitles:
    """Return the text of events as captions, in order, within the limits; styles, scripts and drawings are left out.

    is_typed: braces are text, and not the tags of ASS.
    """
    left_out: Counter[str] = Counter()
    found: dict[Caption, None] = {}  # a dictionary: layers of ASS repeat a text for its shadow
    for event in events:
        if len(found) >= MAX_CUES:
            left_out["beyond"] += 1
            continue
        text = _lines(event.text[: 4 * MAX_TEXT], left_out) if is_typed else _text(event.text, left_out)
        if not text:
            left_out["empty"] += 1
        elif event.end <= event.start:
            left_out["timeless"] += 1
        else:
            found[Caption(event.start, event.end, text)] = None
    return Subtitles(tuple(sorted(found, key=lambda caption: (caption.start, caption.end))), tuple(_notes(left_out)))


def _text(raw: str, left_out: Counter[str]) -> str:
    fragments = parse_tags(raw[: 4 * MAX_TEXT])
    left_out["styled"] += len(fragments) > 1
    left_out["drawn"] += any(style.drawing for _, style in fragments)
    text = "".join(fragment for fragment, style in fragments if not style.drawing)
    text = text.replace(_LITERAL_BRACE, "{").replace("\\h", " ")
    return _lines(re.sub(r"\\[nN]", "\n", text), left_out)


def _lines(text: str, left_out: Counter[str]) -> str:
    left_out["styled"] += _TAG.search(text) is not None
    lines = [" ".join(line.split()) for line in characters.cleaned(_without_tags(text)).split("\n")]
    text = "\n".join(line for line in lines if line)
    left_out["long"] += len(text) > MAX_TEXT
    return text[:MAX_TEXT].strip()


def typed_text(text: str) -> str:
    """Return a typed text as captions contain it: without tags, control characters and blank lines; may be empty."""
    return _lines(text, Counter())


def _without_tags(text: str) -> str:
    return _TAG.sub("", _SCRIPT.sub("", text))


def _notes(left_out: Counter[str]) -> Iterator[str]:
    if left_out["styled"]:
        yield "Styles and positions were left out."
    if left_out["drawn"]:
        yield "Drawings were left out."
    if left_out["timeless"]:
        yield f"{_cues(left_out['timeless'])} left out, because the end is not after the beginning."
    if left_out["long"]:
        yield f"{_cues(left_out['long'])} cut after {MAX_TEXT} characters."
    if left_out["beyond"]:
        yield f"Only the first {MAX_CUES} cues were taken."


def _cues(number: int) -> str:
    return f"{number} cue{'s were' if number > 1 else ' was'}"


def fitted(captions: Sequence[Caption], zero: float, duration: float) -> list[Caption]:
    """Return captions on the timeline of a video: zero is the source's time of its beginning, duration its length.

    What lies outside is cut. All in seconds.
    """
    moved = (Caption(caption.start - zero, caption.end - zero, caption.text) for caption in captions)
    return [
        Caption(max(caption.start, 0.0), min(caption.end, duration), caption.text)
        for caption in moved
        if caption.end > 0 and caption.start < duration
    ]
