"""Captions as WebVTT: from what was heard to files. Pure."""

import textwrap
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from transcoding.engine.timeline import Timeline

LINE = 42  # characters that a caption's line may have; two lines of it are read in one look
MPEG_CLOCK = 90_000  # ticks a second
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@dataclass(frozen=True)
class Caption:
    """What is said, from one second of the video to another."""

    start: float
    end: float
    text: str


def readable(heard: Sequence[Caption], duration: float) -> list[Caption]:
    """Captions of two lines at most, in order, within the video.

    What was said at length is divided, its time by the number of letters. Whisper may hear beyond the end.
    """
    captions: list[Caption] = []
    for said in sorted(heard, key=lambda caption: caption.start):
        start, end = max(0.0, said.start), min(said.end, duration)
        if start < end and said.text.strip():
            captions += _divided(Caption(start, end, " ".join(said.text.split())))
    return captions


def _divided(said: Caption) -> Iterator[Caption]:
    parts = _parts(said.text)
    letters, start = sum(map(len, parts)), said.start
    for number, part in enumerate(parts, 1):
        spoken = (said.end - said.start) * len(part) / letters
        end = said.end if number == len(parts) else start + spoken
        yield Caption(start, end, part)
        start = end


def _parts(text: str) -> list[str]:
    """As few parts as two lines allow, all about as long as each other."""
    least = -(-len(text) // (2 * LINE))
    return textwrap.wrap(text, max(-(-len(text) // least) + 8, 16) if least > 1 else 2 * LINE)


def whole(captions: Sequence[Caption]) -> str:
    """One file with all captions."""
    return _file("WEBVTT", captions)


def segments(captions: Sequence[Caption], timeline: Timeline, first_time: int) -> Iterator[str]:
    """A file for each segment of the picture: all captions that are to be seen in it, with their whole times.

    first_time is the time at which the picture begins, in ticks of the MPEG clock: without it, players take the
    captions for ten seconds early or late.
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
    # A blank line would end the cue, and "-->" its text; with ">" escaped no arrow is left.
    lines = textwrap.wrap(caption.text, LINE) or [""]
    return "\n".join(
        [f"{clock(caption.start)} --> {clock(caption.end)}", *(line.translate(_ESCAPES) for line in lines)]
    )


def clock(seconds: float) -> str:
    whole_seconds, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole_seconds, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}.{milliseconds:03}"
