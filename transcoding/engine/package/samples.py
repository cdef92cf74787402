"""The sample tables of a rendition: what a progressive MP4 says of its samples, gathered from all of its segments.

They are stored beside the segments, in a file whose name tells of which playlist they are: segments never change after
the playlist was measured, and another encode measures another one. The file has

    a line of JSON      what is known of the track, and how long the rest is
    four arrays         of each chunk (a fragment's samples): number of the segment, offset in it, bytes, ticks
    boxes               `stts`, `ctts`, `stss`, `stsc` and `stsz`, as `stbl` contains them

Ten hours of pictures have 11 MB of them, so the boxes are never read again, but sent from the file.
"""

import hashlib
import json
import struct
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from transcoding.engine.codecs import table
from transcoding.engine.formats import boxes
from transcoding.engine.formats.boxes import BrokenBoxes, Run
from transcoding.engine.formats.movie import VERSION_0, Slice, big_endian, packed
from transcoding.engine.package import files
from transcoding.engine.package.contents import segment_name, segments_there
from transcoding.engine.renditions import Kind

FORMAT = 1


@dataclass(frozen=True)
class SampleTables:
    """The chunks of a rendition, and where its boxes lie.

    start and delay are in ticks: when its first sample is shown, and by how much later the boxes say that it is.
    """

    folder: Path
    timescale: int
    start: int
    delay: int
    segments: "array[int]"
    offsets: "array[int]"
    sizes: "array[int]"
    ticks: "array[int]"
    boxes: Slice


def name_of(folder: Path) -> str:
    """Return the name of the file with the tables of a rendition; raises FileNotFoundError where it has no playlist."""
    version = files.version(files.fail_fast(folder / "index.m3u8"))
    return f"samples-{hashlib.sha256(f'{FORMAT} {version}'.encode()).hexdigest()[:16]}.bin"


def read(folder: Path, name: str) -> SampleTables:
    """Return the tables of a rendition; raises FileNotFoundError where they are not made yet."""
    path = files.fail_fast(folder / name)
    with path.open("rb") as file:
        line = file.readline()
        head = json.loads(line)
        count = head["chunks"]
        segments, offsets, sizes, ticks = (_read_array(file.read(4 * count)) for _ in range(4))
    stored = Slice(path, len(line) + 16 * count, head["boxes"])
    return SampleTables(
        folder, head["timescale"], head["start"], head["delay"], segments, offsets, sizes, ticks, stored
    )


def make(folder: Path) -> bytes:
    """Return the file of a rendition with all of its segments. Raises BrokenBoxes or FileNotFoundError."""
    numbers = sorted(segments_there(folder))
    if numbers != list(range(len(numbers))) or not numbers:
        raise BrokenBoxes(f"{folder.name} has gaps")
    track = boxes.read_init(files.fail_fast(folder / "init.mp4").read_bytes())
    tables = _Tables()
    for number, runs in enumerate(files.over(folder, _runs_of, [folder / segment_name(each) for each in numbers])):
        tables.add(number, runs)
    delay = tables.shift()
    made = b"".join(tables.boxes(is_video=table.codec_of(track.kind).kind == Kind.VIDEO))
    head = {
        "timescale": track.timescale,
        "start": tables.start,
        "delay": delay,
        "chunks": len(tables.columns[0]),
        "boxes": len(made),
    }
    return b"".join([json.dumps(head).encode(), b"\n", *map(big_endian, tables.columns), made])


def _runs_of(path: Path) -> list[tuple[int, int, Run]]:
    try:
        with files.fail_fast(path).open("rb") as file:
            return list(boxes.read_runs(file))
    except BrokenBoxes as error:
        raise BrokenBoxes(f"{path.parent.name}/{path.name} {error}") from error


class _Lengths:
    """Runs of equal values, as `stts` and `ctts` have them."""

    def __init__(self) -> None:
        self.entries = array("i")

    def extend(self, values: Iterable[int]) -> None:
        for value, equal in groupby(values):
            count = len(list(equal))
            if self.entries and self.entries[-1] == value:
                self.entries[-2] += count
            else:
                self.entries.extend((count, value))

    def raise_by(self, least: int) -> None:
        """Add a number to all values."""
        self.entries[1::2] = array("i", (value + least for value in self.entries[1::2]))

    def box(self, kind: str) -> bytes:
        return packed(kind, VERSION_0, struct.pack(">I", len(self.entries) // 2), big_endian(self.entries))


class _Tables:
    """The tables of the fragments that were added so far."""

    def __init__(self) -> None:
        self.start = self.end = -1
        self.durations, self.delays = _Lengths(), _Lengths()
        self.sizes, self.sync, self.per_chunk = array("I"), array("I"), array("I")
        self.columns = [array("I") for _ in range(4)]

    def add(self, segment: int, runs: Iterable[tuple[int, int, Run]]) -> None:
        for offset, start, run in runs:
            if self.start < 0:
                self.start = self.end = start
            if start != self.end:
                raise BrokenBoxes(f"segment {segment} begins at {start}, where the one before ends at {self.end}")
            ticks = sum(run.durations)
            self.end += ticks
            self.durations.extend(run.durations)
            self.delays.extend(run.delays)
            self.sync.append(len(self.sizes) + 1)
            self.sizes.extend(run.sizes)
            self.per_chunk.append(len(run.sizes))
            for column, value in zip(self.columns, (segment, offset, sum(run.sizes), ticks), strict=True):
                column.append(value)

    def shift(self) -> int:
        """Have no sample shown before it is decoded, as old players demand, and return by how many ticks all moved."""
        delay = max(0, -min(self.delays.entries[1::2]))
        self.delays.raise_by(delay)
        return delay

    def boxes(self, *, is_video: bool) -> list[bytes]:
        """Return the boxes of `stbl`. Of audio each sample is a sync sample, as it is where there is no `stss`."""
        per_chunk = array("I")
        for number, count in enumerate(self.per_chunk, 1):
            if not per_chunk or per_chunk[-2] != count:
                per_chunk.extend((number, count, 1))
        sync = packed("stss", VERSION_0, struct.pack(">I", len(self.sync)), big_endian(self.sync))
        return [
            self.durations.box("stts"),
            *([self.delays.box("ctts")] if any(self.delays.entries[1::2]) else []),
            *([sync] if is_video else []),
            packed("stsc", VERSION_0, struct.pack(">I", len(per_chunk) // 3), big_endian(per_chunk)),
            packed("stsz", VERSION_0, struct.pack(">II", 0, len(self.sizes)), big_endian(self.sizes)),
        ]


def _read_array(data: bytes) -> "array[int]":
    values = array("I", data)
    if sys.byteorder == "little":
        values.byteswap()
    return values
