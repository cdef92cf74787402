"""Captions as a text track of an MP4 (3GPP TS 26.245, `tx3g`), which ffmpeg knows as `mov_text`. Pure."""

import struct
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from transcoding.engine.formats.movie import ONCE, UNITY, VERSION_0, Track, packed
from transcoding.engine.formats.webvtt import Caption

TIMESCALE = 1000
MAX_BYTES = 8 << 20  # of all samples; captions of usual films have a hundredth
AT_ONCE = 4  # captions that are shown at the same time; the last ones where there are more
NOTHING = bytes(2)  # a sample without text
WHITE, CLEAR = b"\xff" * 4, bytes(4)
LINES = 20  # of text that the height of the pictures has room for
HANDLER = packed("hdlr", VERSION_0, b"\0\0\0\0sbtl", bytes(12), b"Captions\0")
MEDIA = packed("nmhd", VERSION_0) + packed(
    "dinf", packed("dref", VERSION_0, struct.pack(">I", 1), packed("url ", b"\0\0\0\1"))
)


@dataclass(frozen=True)
class Text:
    """The samples of a text track, which follow one another; sizes in bytes, durations in ticks."""

    data: bytes
    sizes: "array[int]"
    durations: "array[int]"


def samples(captions: Sequence[Caption]) -> Text:
    """Return the samples of captions: one for each span of time in which the same texts are shown, or none."""
    data, sizes, durations = bytearray(), array("I"), array("I")
    for duration, text in _spans(captions):
        sample = text.encode(errors="replace")
        sample = struct.pack(">H", len(sample)) + sample if len(data) < MAX_BYTES else NOTHING
        data += sample
        sizes.append(len(sample))
        durations.append(duration)
    return Text(bytes(data), sizes, durations)


def _spans(captions: Sequence[Caption]) -> Iterator[tuple[int, str]]:
    changes: defaultdict[int, list[tuple[bool, int]]] = defaultdict(list, {0: []})
    for number, caption in enumerate(captions):
        start, end = (round(seconds * TIMESCALE) for seconds in (caption.start, caption.end))
        if start < end:
            changes[start].append((True, number))
            changes[end].append((False, number))
    shown: dict[int, str] = {}
    for moment, after in pairwise(sorted(changes)):
        for begins, number in changes[moment]:
            if begins:
                shown[number] = captions[number].text
            else:
                del shown[number]
        yield after - moment, "\n".join(reversed(list(islice(reversed(shown.values()), AT_ONCE))))
    yield 1, ""


def track(text: Text, language: str, size: tuple[int, int]) -> Track:
    """Return the track of the samples, which are one chunk. size: width and height of the pictures in pixels."""
    count = len(text.sizes)
    times = b"".join(struct.pack(">II", 1, duration) for duration in text.durations)
    tables = (
        packed("stsd", VERSION_0, struct.pack(">I", 1), _entry(*size)),
        packed("stts", VERSION_0, struct.pack(">I", count), times),
        packed("stsc", VERSION_0, struct.pack(">IIII", 1, 1, count, 1)),
        packed("stsz", VERSION_0, struct.pack(f">II{count}I", 0, count, *text.sizes)),
    )
    group = struct.pack(">8xhhhh", 0, 2, 0, 0)  # another one than that of the audio
    header = group + UNITY + struct.pack(">II", *(pixels * ONCE for pixels in size))
    return Track(TIMESCALE, 0, 0, sum(text.durations), header, HANDLER, MEDIA, tables, language)


def _entry(width: int, height: int) -> bytes:
    """Return the sample entry: white text in the middle of the lowest lines of the pictures."""
    place = struct.pack(">bb4s4h", 1, -1, CLEAR, 0, 0, height, width)
    style = struct.pack(">HHHBB4s", 0, 0, 1, 0, min(max(12, height // LINES), 255), WHITE)
    fonts = packed("ftab", struct.pack(">HHB5s", 1, 1, 5, b"Arial"))
    return packed("tx3g", struct.pack(">6xHI", 1, 0), place, style, fonts)
