"""The transcript of a video as HTML: paragraphs of captions, each of which leads to its second."""

from collections.abc import Iterable, Iterator
from html import escape

from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext

from videos.formatting import clock_down

PAUSE = 3.0  # seconds without words, after which a paragraph begins
LONG = 600  # characters, after which a paragraph ends with the next sentence
LONGEST = 1500
ENDS = (".", "!", "?", "…", "\u3002", "\uff01", "\uff1f")

Line = tuple[float, float, str]  # start and end in seconds, and the text


def paragraphs(cues: Iterable[Line]) -> Iterator[list[Line]]:
    """Yield the captions of each paragraph: until a pause, or the end of a sentence once it is long."""
    lines: list[Line] = []
    length, last = 0, 0.0
    for cue in cues:
        is_long = length > LONGEST or (length > LONG and lines[-1][2].rstrip("\"'”»)").endswith(ENDS))
        if lines and (cue[0] - last >= PAUSE or is_long):
            yield lines
            lines, length = [], 0
        lines.append(cue)
        length += len(cue[2])
        last = max(last, cue[1])
    if lines:
        yield lines


def transcript(cues: Iterable[Line], number: int) -> SafeString:
    """Render the paragraphs of the track with a number. The links work without a script."""
    return mark_safe("\n".join(_paragraph(lines, number) for lines in paragraphs(cues)))  # noqa: S308 - texts are escaped


def _paragraph(lines: list[Line], number: int) -> str:
    start, go_to = lines[0][0], gettext("Go to")
    texts = " ".join(
        f'<a class="said" href="?t={int(begin)}&amp;captions={number}" data-seek="{begin:.3f}" data-end="{end:.3f}">'
        f"{escape(text)}</a>"
        for begin, end, text in lines
    )
    return (
        f'<li><a class="at" href="?t={int(start)}&amp;captions={number}" data-seek="{start:.3f}">'
        f'<span class="visually-hidden">{go_to} </span>{clock_down(start)}</a> <p>{texts}</p></li>'
    )
