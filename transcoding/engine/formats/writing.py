"""Captions in the formats that VLog writes. Pure."""

import html
import re
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape, quoteattr

from transcoding.engine.formats import webvtt
from transcoding.engine.formats.webvtt import Caption, clock

PAUSE = 3.0  # seconds without words, after which a paragraph begins
TYPES = {
    "vtt": "text/vtt",
    "srt": "application/x-subrip",
    "ttml": "application/ttml+xml",
    "sbv": "text/plain",
    "ass": "text/x-ssa",
    "txt": "text/plain",
}
# What a reader of SubRip takes for a tag or an entity, so that it has to be escaped.
_MARKUP = re.compile(r"</?[A-Za-z!?]|<[\d:.]*>|&#?\w+;")
# The least that makes a script of Advanced SubStation Alpha.
_ASS_HEAD = """[Script Info]
ScriptType: v4.00+
WrapStyle: 0

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, OutlineColour, BorderStyle, Outline, Alignment, MarginV
Style: Default,Arial,20,&H00FFFFFF,&H00000000,1,2,2,10

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""
_BLANKS = re.compile(r"\n\s*\n")


def written(captions: Sequence[Caption], name: str, language: str = "und") -> str:
    """Return the content of a file in one of the formats of TYPES. language: BCP 47."""
    writers: dict[str, Callable[[], str]] = {
        "vtt": lambda: webvtt.whole(captions),
        "srt": lambda: _subrip(captions),
        "ttml": lambda: _ttml(captions, language),
        "sbv": lambda: _sbv(captions),
        "ass": lambda: _ass(captions),
        "txt": lambda: transcript(captions),
    }
    return writers[name]()


def _subrip(captions: Sequence[Caption]) -> str:
    cues = (
        f"{number}\n{_comma(caption.start)} --> {_comma(caption.end)}\n{_escaped(caption.text)}\n"
        for number, caption in enumerate(captions, 1)
    )
    return "\n".join(cues)


def _comma(seconds: float) -> str:
    return clock(seconds).replace(".", ",")


def _escaped(text: str) -> str:
    """Return a text without blank lines, which would end its cue. Few entities are used: players show them as such."""
    text = _BLANKS.sub("\n", text).strip()
    return html.escape(text, quote=False) if _MARKUP.search(text) else text


def _ttml(captions: Sequence[Caption], language: str) -> str:
    cues = (
        f'      <p begin="{clock(caption.start)}" end="{clock(caption.end)}">'
        f"{'<br/>'.join(escape(line) for line in caption.text.splitlines())}</p>\n"
        for caption in captions
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<tt xmlns="http://www.w3.org/ns/ttml" xml:lang={quoteattr(language)}>\n'
        f"  <body>\n    <div>\n{''.join(cues)}    </div>\n  </body>\n</tt>\n"
    )


def _sbv(captions: Sequence[Caption]) -> str:
    """YouTube's: as SubRip, but without numbers, and with both times in one place."""
    cues = (
        f"{clock(caption.start)},{clock(caption.end)}\n{_BLANKS.sub(chr(10), caption.text).strip()}\n"
        for caption in captions
    )
    return "\n".join(cues)


def _ass(captions: Sequence[Caption]) -> str:
    """Times are rounded to hundredths of a second, the unit of the format."""
    events = (
        f"Dialogue: 0,{_hundredths(caption.start)},{_hundredths(caption.end)},Default,,0,0,0,,{_typed(caption.text)}\n"
        for caption in captions
    )
    return _ASS_HEAD + "".join(events)


def _hundredths(seconds: float) -> str:
    total = round(seconds * 100)
    return f"{total // 360_000}:{total // 6000 % 60:02}:{total // 100 % 60:02}.{total % 100:02}"


def _typed(text: str) -> str:
    """Return a text in which no brace begins a tag, on one line."""
    return _BLANKS.sub("\n", text).strip().replace("{", "\\{").replace("\n", "\\N")


def transcript(captions: Sequence[Caption]) -> str:
    """Return the text alone, in paragraphs that end at pauses of some seconds."""
    paragraphs: list[list[str]] = [[]]
    end = float("inf")
    for caption in captions:
        if caption.start - end >= PAUSE:
            paragraphs.append([])
        paragraphs[-1].append(" ".join(caption.text.split()))
        end = caption.end
    return "\n\n".join(" ".join(paragraph) for paragraph in paragraphs) + "\n"
