"""Parsing of ISO base media boxes, as far as fragments and their times need it (ISO/IEC 14496-12)."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

NOT_SYNC = 0x10000  # sample_is_non_sync_sample, in a sample's flags
TRACK = 1  # the ID of the only track of a rendition
FROM_MOOF, TFHD_DEFAULTS = 0x20000, 0x3A  # flags of tfhd: default-base-is-moof, and those of its optional fields
SIGN = 1 << 31  # sign bit of a composition offset; in version 0 they are unsigned, but no real one is this large
MAX_SAMPLES = 1 << 20  # in one run; far more than any has, since a count without per-sample fields could be any number
VISUAL_ENTRY, AUDIO_ENTRY = 86, 36  # bytes of a sample entry before its child boxes
MAX_BOX = 1 << 30  # bytes; far above any fragment, so that a damaged size does not make the reader wait for ever


class BrokenBoxes(ValueError):
    """The data are not ISO boxes, end too early, or do not have the boxes that VLog's segments have."""


@dataclass(frozen=True)
class Fragment:
    """One `moof` with its `mdat`. start and duration are in ticks of the track's timescale, sizes in bytes.

    first_sample is the number of bytes from the start of the fragment to the end of its first sample: the range that
    an I-frame playlist addresses. sync: whether that sample is marked as decodable without any earlier one. complete:
    whether the samples are shown from the fragment's start to its end, each at a time of its own, whatever the order
    in which they are decoded.
    """

    start: int
    duration: int
    samples: int
    first_sample: int
    size: int
    sync: bool = True
    complete: bool = True


@dataclass(frozen=True)
class Sample:
    """The first sample of a fragment: size bytes from offset `at` of a file that must stay open while it is read."""

    file: BinaryIO
    at: int
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Return up to length bytes from an offset in the sample, none of them after its end."""
        self.file.seek(self.at + offset)
        return self.file.read(max(0, min(length, self.size - offset)))


@dataclass(frozen=True)
class Track:
    """The only track of an init segment.

    kind is the type of its samples (`avc1`, `mp4a`), entry the sample entry box that describes them.
    """

    kind: str
    timescale: int
    entry: bytes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, of a video track."""
        return visual_size(self.entry)


class FragmentReader:
    """Splits a stream, fed in any number of bytes at a time, into its init segment and its fragments."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._pending = b""

    def feed(self, data: bytes) -> Iterator[tuple[Fragment | None, bytes]]:
        """Yield what the new bytes complete: (None, init segment) once, then (fragment, its bytes) per fragment."""
        self._buffer += data
        while (box := self._next_box()) is not None:
            kind = box[4:8]
            if kind in (b"ftyp", b"moof"):
                self._pending = box
            elif kind == b"moov":
                yield None, self._pending + box
            elif kind == b"mdat":
                yield parse_fragment(self._pending, len(box)), self._pending + box

    def close(self) -> None:
        """End the stream. Raise BrokenBoxes if it ends inside a box."""
        if self._buffer:
            raise BrokenBoxes("the stream ends inside a box")

    def _next_box(self) -> bytes | None:
        """Remove the first box from the buffer and return it; return None while it is incomplete."""
        if len(self._buffer) < 8:
            return None
        length = _length(bytes(self._buffer[:8]))
        if len(self._buffer) < length:
            return None
        box = bytes(self._buffer[:length])
        del self._buffer[:length]
        return box


def scan_fragments(path: Path) -> list[Fragment]:
    """Return the fragments of a segment file, reading only their headers."""
    return [fragment for fragment, _ in read_segment(path)]


def read_segment(path: Path) -> Iterator[tuple[Fragment, Sample]]:
    """Yield each fragment of a segment file with its first sample. Raise BrokenBoxes if the file has other boxes."""
    with path.open("rb") as file:
        yield from read_fragments(file)


def read_fragments(file: BinaryIO) -> Iterator[tuple[Fragment, Sample]]:
    """Yield the same as read_segment from an open file, or from bytes in memory."""
    for at, moof, mdat_size in _moofs(file):
        fragment = parse_fragment(moof, mdat_size)
        begin = len(moof) + 8
        yield fragment, Sample(file, at + begin, fragment.first_sample - begin)


def read_runs(file: BinaryIO) -> Iterator[tuple[int, int, "Run"]]:
    """Yield of each fragment the offset of its samples in the file, its start in ticks, and the samples."""
    for at, moof, mdat_size in _moofs(file):
        yield at + len(moof) + 8, *parse_run(moof, mdat_size)


def _moofs(file: BinaryIO) -> Iterator[tuple[int, bytes, int]]:
    """Yield of each fragment its offset, its `moof`, and the size of its `mdat`, which is not read."""
    at, end = 0, file.seek(0, os.SEEK_END)
    while at < end:
        moof_size = _expect(file, at, end, b"moof")
        moof = struct.pack(">I4s", moof_size, b"moof") + file.read(moof_size - 8)
        mdat_size = _expect(file, at + moof_size, end, b"mdat")
        yield at, moof, mdat_size
        at += moof_size + mdat_size


def _expect(file: BinaryIO, at: int, end: int, kind: bytes) -> int:
    """Return the length of the box at this offset. Raise BrokenBoxes unless it has this type and ends by `end`."""
    file.seek(at)
    header = file.read(8)
    if len(header) < 8 or header[4:] != kind:
        raise BrokenBoxes(f"has {header[4:]!r} where {kind.decode()!r} belongs, at byte {at}")
    length = _length(header)
    if at + length > end:
        raise BrokenBoxes("ends inside a box")
    return length


def _length(header: bytes) -> int:
    """Return the length of a box in bytes, including its header of eight bytes, which is given."""
    length = int.from_bytes(header[:4], "big")
    if len(header) < 8 or not 8 <= length <= MAX_BOX:
        raise BrokenBoxes(f"has a box {header[4:]!r} of {length} bytes")
    return length


def children(box: bytes, skip: int = 8) -> Iterator[tuple[str, bytes]]:
    """Yield the type and the bytes of each box inside a box; skip is the length of its header and its own fields."""
    at = skip
    while at + 8 <= len(box):
        size = int.from_bytes(box[at : at + 4], "big")
        if not 8 <= size <= len(box) - at:
            raise BrokenBoxes(f"has a box of {size} bytes inside one of {len(box)}")
        yield box[at + 4 : at + 8].decode("latin-1"), box[at : at + size]
        at += size


def find(box: bytes, *path: str, skip: int = 8) -> bytes:
    """Return the first box along a path of types below this box. Raise BrokenBoxes if there is none."""
    for kind, child in children(box, skip):
        if kind == path[0]:
            return child if len(path) == 1 else find(child, *path[1:])
    raise BrokenBoxes(f"has no box {'/'.join(path)}")


def timescale(init: bytes) -> int:
    """Return the ticks per second of the first track of an init segment (`mdhd`)."""
    mdhd = find(init, "moov", "trak", "mdia", "mdhd", skip=0)
    ticks = int.from_bytes(mdhd[28:32] if mdhd[8:9] == b"\x01" else mdhd[20:24], "big")
    if ticks == 0:
        raise BrokenBoxes("has a track without a timescale")
    return ticks


def read_init(init: bytes) -> Track:
    """Return the track of an init segment. Raise BrokenBoxes unless it is one `ftyp` and one `moov` with one track."""
    boxes = list(children(init, 0))
    if [kind for kind, _ in boxes] != ["ftyp", "moov"] or sum(len(box) for _, box in boxes) != len(init):
        raise BrokenBoxes("is not one ftyp and one moov")
    moov = find(init, "moov", skip=0)
    tracks = [box for kind, box in children(moov) if kind == "trak"]
    if len(tracks) != 1:
        raise BrokenBoxes(f"has {len(tracks)} tracks instead of one")
    if any(kind == "edts" for kind, _ in children(tracks[0])):
        raise BrokenBoxes("has an edit list, which moves the track against the others")
    tkhd = find(tracks[0], "tkhd")
    if int.from_bytes(tkhd[28:32] if tkhd[8:9] == b"\x01" else tkhd[20:24], "big") != TRACK:
        raise BrokenBoxes(f"has a track that is not number {TRACK}, which its segments belong to")
    find(moov, "mvex")
    kind, entry = sample_entry(init)
    return Track(kind, timescale(init), entry)


def visual_size(entry: bytes) -> tuple[int, int]:
    """Return width and height in pixels from the sample entry of a video track."""
    return int.from_bytes(entry[32:34], "big"), int.from_bytes(entry[34:36], "big")


def sample_entry(init: bytes) -> tuple[str, bytes]:
    """Return the type and the bytes of the first sample entry of the first track (`stsd`)."""
    stsd = find(init, "moov", "trak", "mdia", "minf", "stbl", "stsd", skip=0)
    for entry in children(stsd, 16):
        return entry
    raise BrokenBoxes("has a track without a description")


def parse_fragment(moof: bytes, mdat_size: int) -> Fragment:
    """Return the fragment of a `moof` that is followed by a `mdat` of mdat_size bytes.

    Raise BrokenBoxes unless it has one track, whose samples fill the `mdat` one after the other.
    """
    start, run = parse_run(moof, mdat_size)
    first_sample, duration = len(moof) + 8 + run.sizes[0], sum(run.durations)
    return Fragment(start, duration, len(run.sizes), first_sample, len(moof) + mdat_size, run.sync, _is_complete(run))


def runs_of(moof: bytes) -> Iterator[tuple[int, int, "Run"]]:
    """Yield of each track of a fragment its number, its start in ticks and its samples, wherever these are."""
    for kind, traf in children(moof):
        if kind == "traf":
            tfhd, tfdt = _only(traf, "tfhd"), _only(traf, "tfdt")
            start = int.from_bytes(tfdt[12:20] if tfdt[8:9] == b"\x01" else tfdt[12:16], "big")
            yield int.from_bytes(tfhd[12:16], "big"), start, _run(_only(traf, "trun"), *_defaults(tfhd)[1:])


def parse_run(moof: bytes, mdat_size: int) -> tuple[int, "Run"]:
    """Return the start in ticks and the samples of a fragment, as parse_fragment does."""
    traf = _only(moof, "traf")
    tfdt, tfhd = _only(traf, "tfdt"), _only(traf, "tfhd")
    wide = tfdt[8:9] == b"\x01"
    start = int.from_bytes(tfdt[12:20] if wide else tfdt[12:16], "big")
    _only(moof, "mfhd")
    if int.from_bytes(tfhd[9:12], "big") & ~TFHD_DEFAULTS != FROM_MOOF:
        raise BrokenBoxes("has samples that are not addressed from their moof")
    if int.from_bytes(tfhd[12:16], "big") != TRACK:
        raise BrokenBoxes(f"has samples that are not of track {TRACK}")
    described, duration, size, flags = _defaults(tfhd)
    if described != 1:
        raise BrokenBoxes("has samples that init.mp4 does not describe")
    run = _run(_only(traf, "trun"), duration, size, flags)
    if sum(run.sizes) + 8 != mdat_size:
        raise BrokenBoxes(f"has samples of {sum(run.sizes)} bytes in a box of {mdat_size}")
    if run.offset not in (None, len(moof) + 8):
        raise BrokenBoxes(f"has samples that begin {run.offset} bytes after the start of their fragment")
    if sum(run.durations) == 0:
        raise BrokenBoxes("has a fragment that lasts no time")
    return start, run


@dataclass(frozen=True)
class Run:
    """The samples of a `trun`; durations and delays are in ticks, sizes in bytes.

    offset is the number of bytes from the start of the fragment to the first sample, if stated; sync: whether the first
    sample can be decoded on its own.
    """

    offset: int | None
    durations: list[int]
    sizes: list[int]
    sync: bool
    delays: list[int]  # composition offsets: from when each sample is decoded until it is shown


def _is_complete(run: Run) -> bool:
    """Return whether the samples are shown from the start of their fragment to its end, each at a time of its own."""
    decoded = list(accumulate(run.durations, initial=0))
    shown = sorted(time + delay for time, delay in zip(decoded, run.delays, strict=False))
    if len(set(run.durations)) == 1:
        return shown == decoded[:-1]
    return shown[0] == 0 and shown[-1] < decoded[-1] and len(set(shown)) == len(shown)


def _only(box: bytes, kind: str) -> bytes:
    """Return the only box of this type inside a box. Raise BrokenBoxes if there is none, or more than one."""
    found = [child for name, child in children(box) if name == kind]
    if len(found) != 1:
        raise BrokenBoxes(f"has {len(found)} boxes {kind} instead of one" if found else f"has no box {kind}")
    return found[0]


def _defaults(tfhd: bytes) -> tuple[int, int, int, int]:
    """Return the index of the sample entry and the default duration, size and flags of the samples.

    The optional fields of `tfhd` are in the order of their flag bits.
    """
    flags, at, values = int.from_bytes(tfhd[9:12], "big"), 16, {}
    for bit in (0x2, 0x8, 0x10, 0x20):
        if flags & bit:
            values[bit] = int.from_bytes(tfhd[at : at + 4], "big")
            at += 4
    return values.get(0x2, 1), values.get(0x8, 0), values.get(0x10, 0), values.get(0x20, 0)


def _run(trun: bytes, duration: int, size: int, default_flags: int) -> Run:
    """Return the samples of a `trun`, with the given defaults for the fields that it does not have."""
    flags, count = int.from_bytes(trun[9:12], "big"), int.from_bytes(trun[12:16], "big")
    at = 16 + 4 * bool(flags & 0x1) + 4 * bool(flags & 0x4)
    fields = [bit for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit]
    if count == 0 or at + 4 * len(fields) * count > len(trun) or count > MAX_SAMPLES:
        raise BrokenBoxes(f"has a run of {count} samples in {len(trun)} bytes")
    values = struct.unpack_from(f">{len(fields) * count}I", trun, at)
    column = {bit: list(values[n :: len(fields)]) for n, bit in enumerate(fields)}
    first_flags = int.from_bytes(trun[at - 4 : at], "big") if flags & 0x4 else column.get(0x400, [default_flags])[0]
    return Run(
        offset=int.from_bytes(trun[16:20], "big", signed=True) if flags & 0x1 else None,
        durations=column.get(0x100, [duration] * count),
        sizes=column.get(0x200, [size] * count),
        sync=not first_flags & NOT_SYNC,
        delays=[(value ^ SIGN) - SIGN for value in column.get(0x800, [0] * count)],
    )
