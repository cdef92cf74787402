"""Writing of the boxes that describe a progressive MP4 (ISO/IEC 14496-12, 8). Pure.

What a large box contains may be bytes, or a part of a file, which is not read.
"""

import struct
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Self

from transcoding.engine.formats.boxes import children, find
from transcoding.engine.languages import three_letters

VERSION_0, VERSION_1 = bytes(4), b"\1\0\0\0"  # of a full box, without flags
SHOWN = b"\1\0\0\7"  # of `tkhd`: version 1; the track is enabled, in the movie, and in its preview
HEADER = 60  # bytes of a `tkhd` after its duration, in either version
UNITY = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)  # the matrix that changes nothing
ONCE = 1 << 16  # normal speed, full volume


@dataclass(frozen=True)
class Slice:
    """Some bytes of a file, from an offset on."""

    path: Path
    offset: int
    size: int

    def __len__(self) -> int:
        return self.size


Part = bytes | Slice


def cut(part: Part, start: int, end: int) -> Part:
    """Return what lies of a part between two offsets, of which the first may be below 0 and the last after its end."""
    start, end = max(0, start), min(end, len(part))
    return part[start:end] if isinstance(part, bytes) else Slice(part.path, part.offset + start, end - start)


def big_endian(values: "array[int]") -> bytes:
    """Return integers in the byte order of files."""
    if sys.byteorder == "little":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def packed(kind: str, *content: bytes) -> bytes:
    """Return a small box."""
    data = b"".join(content)
    return struct.pack(">I4s", 8 + len(data), kind.encode()) + data


def box(kind: str, *content: Part) -> list[Part]:
    """Return the parts of a box with these parts."""
    return [struct.pack(">I4s", 8 + sum(map(len, content)), kind.encode()), *content]


@dataclass(frozen=True)
class Track:
    """What `moov` says of a track. Times are in ticks of its timescale.

    start is when it begins in the movie, duration how long it lasts, and delay how much later than they say its samples
    are shown.
    header is the end of its `tkhd`, from the layer on. handler is its `hdlr`, media are the boxes before its `stbl`,
    and tables those in it, without the offsets of the chunks.
    """

    timescale: int
    start: int
    delay: int
    duration: int
    header: bytes
    handler: bytes
    media: bytes
    tables: Sequence[Part]
    language: str = "und"

    @classmethod
    def of_init(cls, init: bytes, tables: Sequence[Part], language: str, times: tuple[int, int, int, int]) -> Self:
        """Return the track of an init segment. times: timescale, start, delay and duration."""
        timescale, start, delay, duration = times
        trak = find(init, "moov", "trak", skip=0)
        minf = find(trak, "mdia", "minf")
        return cls(
            timescale=timescale,
            start=start,
            delay=delay,
            duration=duration,
            header=find(trak, "tkhd")[-HEADER:],
            handler=find(trak, "mdia", "hdlr"),
            media=b"".join(child for kind, child in children(minf) if kind != "stbl"),
            tables=[find(minf, "stbl", "stsd"), *tables],
            language=language,
        )

    def box(self, number: int, scale: int, offsets: bytes) -> list[Part]:
        """Return its `trak`. scale: the ticks a second of the movie; offsets: those of its chunks, 8 bytes each."""
        before, end = self.start * scale // self.timescale, self.end(scale)
        tkhd = packed("tkhd", SHOWN, struct.pack(">QQIIQ", 0, 0, number, 0, end), self.header)
        code = 0
        for letter in three_letters(self.language):
            code = code << 5 | ord(letter) - 0x60
        mdhd = packed("mdhd", VERSION_1, struct.pack(">QQIQHH", 0, 0, self.timescale, self.duration, code, 0))
        co64 = packed("co64", VERSION_0, struct.pack(">I", len(offsets) // 8), offsets)
        minf = box("minf", self.media, *box("stbl", *self.tables, co64))
        edits = _edits(before, end - before, self.delay) if before or self.delay else b""
        return box("trak", tkhd, edits, *box("mdia", mdhd, self.handler, *minf))

    def end(self, scale: int) -> int:
        """Return when it ends, in ticks of the movie."""
        return (self.start + self.duration) * scale // self.timescale


def _edits(before: int, shown: int, delay: int) -> bytes:
    """Return the box that says what the movie shows of a track: nothing at first, then all of it."""
    edits = [(before, -1, ONCE)] * bool(before) + [(shown, delay, ONCE)]
    return packed(
        "edts",
        packed("elst", VERSION_1, struct.pack(">I", len(edits)), *(struct.pack(">QqI", *edit) for edit in edits)),
    )


def movie_box(scale: int, tracks: Sequence[Track], offsets: Sequence[bytes]) -> list[Part]:
    """Return the `moov`. scale: its ticks a second; offsets: of each track those of its chunks, 8 bytes each."""
    duration = max(track.end(scale) for track in tracks)
    times = struct.pack(">QQIQIH10x", 0, 0, scale, duration, ONCE, 1 << 8)
    mvhd = packed("mvhd", VERSION_1, times, UNITY, bytes(24), struct.pack(">I", len(tracks) + 1))
    numbered = zip(count(1), tracks, offsets)
    return box("moov", mvhd, *chain(*(track.box(number, scale, own) for number, track, own in numbered)))


def media_header(size: int) -> bytes:
    """Return the header of an `mdat` with so many bytes, which may be more than four gigabytes."""
    return struct.pack(">I4sQ", 1, b"mdat", 16 + size)
