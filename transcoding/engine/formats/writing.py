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
    "txt": "text/plain",
}
# What a reader of SubRip takes for a tag or an entity, so that it has to be escaped.
_MARKUP = re.compile(r"</?[A-Za-z!?]|<[\d:.]*>|&#?\w+;")
_BLANKS = re.compile(r"\n\s*\n")


def written(captions: Sequence[Caption], name: str, language: str = "und") -> str:
    """Return the content of a file in one of the formats of TYPES. language: BCP 47."""
    writers: dict[str, Callable[[], str]] = {
        "vtt": lambda: webvtt.whole(captions),
        "srt": lambda: _subrip(captions),
        "ttml": lambda: _ttml(captions, language),
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
