"""ISO base media boxes, as far as fragments and their times need them (ISO/IEC 14496-12)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_BOX = 1 << 30  # no fragment of ours comes near it; a broken size must not make us wait for ever


class BrokenBoxes(ValueError):
    """What should be boxes is not, or ends too soon."""


@dataclass(frozen=True)
class Fragment:
    """One `moof` with its `mdat`: start and duration in the track's timescale, sizes in bytes.

    first_sample reaches from the start of the fragment to the end of its first sample: what an I-frame playlist
    addresses.
    """

    start: int
    duration: int
    samples: int
    first_sample: int
    size: int


class FragmentReader:
    """Takes a stream in pieces of any size and gives back its init segment and its fragments."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._pending = b""

    def feed(self, data: bytes) -> Iterator[tuple[Fragment | None, bytes]]:
        """What the new bytes complete: (None, init segment) first, then (fragment, its bytes)."""
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
        """The end of the stream; raises BrokenBoxes where it ends inside a box."""
        if self._buffer:
            raise BrokenBoxes("the stream ends inside a box")

    def _next_box(self) -> bytes | None:
        if len(self._buffer) < 8:
            return None
        length = _length(bytes(self._buffer[:8]))
        if len(self._buffer) < length:
            return None
        box = bytes(self._buffer[:length])
        del self._buffer[:length]
        return box


def scan_fragments(path: Path) -> list[Fragment]:
    """The fragments of a segment file, by their headers alone."""
    fragments, moof, end = [], b"", path.stat().st_size
    with path.open("rb") as file:
        while header := file.read(8):
            length = _length(header)
            if file.tell() - 8 + length > end:
                raise BrokenBoxes("the file ends inside a box")
            if header[4:] == b"moof":
                moof = header + file.read(length - 8)
            else:
                file.seek(length - 8, 1)
            if header[4:] == b"mdat":
                fragments.append(parse_fragment(moof, length))
    return fragments


def _length(header: bytes) -> int:
    length = int.from_bytes(header[:4], "big")
    if len(header) < 8 or not 8 <= length <= MAX_BOX:
        raise BrokenBoxes(f"a box {header[4:]!r} of {length} bytes")
    return length


def children(box: bytes, skip: int = 8) -> Iterator[tuple[str, bytes]]:
    """The boxes inside a box; skip is the length of its header and its own fields."""
    at = skip
    while at + 8 <= len(box):
        size = int.from_bytes(box[at : at + 4], "big")
        if not 8 <= size <= len(box) - at:
            raise BrokenBoxes(f"a box of {size} bytes inside one of {len(box)}")
        yield box[at + 4 : at + 8].decode("latin-1"), box[at : at + size]
        at += size


def find(box: bytes, *path: str, skip: int = 8) -> bytes:
    """The first box along a path of types below this one."""
    for kind, child in children(box, skip):
        if kind == path[0]:
            return child if len(path) == 1 else find(child, *path[1:])
    raise BrokenBoxes(f"no box {'/'.join(path)}")


def timescale(init: bytes) -> int:
    """Ticks a second of the first track of an init segment (`mdhd`)."""
    mdhd = find(init, "moov", "trak", "mdia", "mdhd", skip=0)
    ticks = int.from_bytes(mdhd[28:32] if mdhd[8:9] == b"\x01" else mdhd[20:24], "big")
    if ticks == 0:
        raise BrokenBoxes("a track without a timescale")
    return ticks


def codec(init: bytes) -> str:
    """The CODECS value of the first track of an init segment (RFC 6381): `avc1.64001f`, `mp4a.40.2`."""
    kind, entry = _sample_entry(init)
    if kind == "avc1":
        avcc = find(entry, "avcC", skip=86)
        return f"avc1.{avcc[9:12].hex()}"
    if kind == "mp4a":
        return "mp4a.40.2"  # the plan makes or copies AAC-LC only
    raise BrokenBoxes(f"a track of type {kind!r}")


def size(init: bytes) -> tuple[int, int]:
    """Coded width and height in pixels of the video track of an init segment."""
    _, entry = _sample_entry(init)
    return int.from_bytes(entry[32:34], "big"), int.from_bytes(entry[34:36], "big")


def _sample_entry(init: bytes) -> tuple[str, bytes]:
    """The type and the box of what describes the samples of the first track (`stsd`)."""
    stsd = find(init, "moov", "trak", "mdia", "minf", "stbl", "stsd", skip=0)
    for entry in children(stsd, 16):
        return entry
    raise BrokenBoxes("a track without a description")


def parse_fragment(moof: bytes, mdat_size: int) -> Fragment:
    traf = find(moof, "traf")
    tfdt, tfhd = find(traf, "tfdt"), find(traf, "tfhd")
    wide = tfdt[8:9] == b"\x01"
    start = int.from_bytes(tfdt[12:20] if wide else tfdt[12:16], "big")
    durations, sizes = _samples(find(traf, "trun"), *_defaults(tfhd))
    return Fragment(start, sum(durations), len(sizes), len(moof) + 8 + sizes[0], len(moof) + mdat_size)


def _defaults(tfhd: bytes) -> tuple[int, int]:
    """Default sample duration and size; fields stand in the order of their flag bits."""
    flags, at, values = int.from_bytes(tfhd[9:12], "big"), 16, {}
    for bit, length in ((0x1, 8), (0x2, 4), (0x8, 4), (0x10, 4)):
        if flags & bit:
            values[bit] = int.from_bytes(tfhd[at : at + length], "big")
            at += length
    return values.get(0x8, 0), values.get(0x10, 0)


def _samples(trun: bytes, duration: int, size: int) -> tuple[list[int], list[int]]:
    """Durations and sizes of a run's samples."""
    flags, count = int.from_bytes(trun[9:12], "big"), int.from_bytes(trun[12:16], "big")
    at = 16 + 4 * bool(flags & 0x1) + 4 * bool(flags & 0x4)
    fields = [bit for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit]
    if count == 0 or at + 4 * len(fields) * count > len(trun):
        raise BrokenBoxes(f"a run of {count} samples in {len(trun)} bytes")
    values = struct.unpack_from(f">{len(fields) * count}I", trun, at)
    column = {bit: list(values[n :: len(fields)]) for n, bit in enumerate(fields)}
    return column.get(0x100, [duration] * count), column.get(0x200, [size] * count)
