"""Captions as WebVTT: from recognized speech to the content of files. Pure."""

import textwrap
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transcoding.engine.timeline import Timeline

LINE = 42  # characters in a line of a caption; two lines of this length can be read at a glance
MPEG_CLOCK = 90_000  # ticks per second
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@dataclass(frozen=True)
class Caption:
    """One timed caption; start and end are in seconds of the video."""

    start: float
    end: float
    text: str


def whole(captions: Sequence[Caption]) -> str:
    """Return the content of one file with all captions."""
    return _file("WEBVTT", captions)


def chapters(marks: Sequence[Caption]) -> str:
    """Return the content of a file with chapters, each of whose titles is one line."""
    cues = (f"{clock(mark.start)} --> {clock(mark.end)}\n{mark.text.translate(_ESCAPES)}" for mark in marks)
    return "\n\n".join(["WEBVTT", *cues]) + "\n"


def segments(captions: Sequence[Caption], timeline: Timeline, first_time: int) -> Iterator[str]:
    """Return the content of a file for each segment of the video: all captions that it shows, with their full times.

    first_time is the presentation time of the first frame, in ticks of the MPEG clock. Without it, players would show
    the captions ten seconds early or late.
    """
    head = f"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{first_time},LOCAL:00:00:00.000"
    shown: list[list[Caption]] = [[] for _ in range(len(timeline))]
    starts = [float(start * timeline.unit) for start in timeline.starts]
    for caption in captions:
        first = max(0, bisect_right(starts, caption.start) - 1)
        for index in range(first, len(starts)):
            if starts[index] >= caption.end and index > first:
                break
            shown[index].append(caption)
    return (_file(head, part) for part in shown)


def _file(head: str, captions: Sequence[Caption]) -> str:
    return "\n\n".join([head, *map(_cue, captions)]) + "\n"


def _cue(caption: Caption) -> str:
    # A blank line would end the cue, and "-->" would end its text; escaping ">" leaves no arrow.
    lines = caption.text.splitlines() if "\n" in caption.text else textwrap.wrap(caption.text, LINE)
    lines = [line for line in lines if line.strip()] or [""]
    return "\n".join(
        [f"{clock(caption.start)} --> {clock(caption.end)}", *(line.translate(_ESCAPES) for line in lines)]
    )


def clock(seconds: float) -> str:
    """Return a time as hh:mm:ss.mmm."""
    whole_seconds, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole_seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}.{milliseconds:03}"
