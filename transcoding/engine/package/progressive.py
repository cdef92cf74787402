"""A rendition as one progressive MP4: a `moov`, then the samples of its tracks, as they lie in the segments.

Nothing is encoded or written: the movie is a list of parts, which are bytes, or lie in a file of the package.
"""

import hashlib
import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import accumulate, pairwise
from math import lcm

from transcoding.engine.formats import boxes, timed_text
from transcoding.engine.formats.movie import Part, Slice, Track, big_endian, cut, media_header, movie_box, packed
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.package import files
from transcoding.engine.package.contents import segment_name
from transcoding.engine.package.samples import SampleTables

LARGEST_SCALE = 1 << 31  # ticks a second of a movie, where those of its tracks have no smaller common multiple
USUAL_SCALE = 90_000
VIDEO_TYPE, AUDIO_TYPE = (b"isom", b"isomiso4avc1mp41"), (b"M4A ", b"M4A isomiso4mp42")  # brands


@dataclass(frozen=True)
class Rendition:
    """A rendition that becomes a track of the movie; language: BCP 47."""

    tables: SampleTables
    language: str = "und"


class Movie:
    """A progressive MP4 of renditions of different kinds, pictures first, and of the captions of one track.

    It is the same, bit by bit, as long as the package and the captions are. size is in bytes, tag its entity tag.
    """

    def __init__(
        self, renditions: Sequence[Rendition], captions: Sequence[Caption] = (), language: str = "und"
    ) -> None:
        inits = [files.fail_fast(each.tables.folder / "init.mp4").read_bytes() for each in renditions]
        self._tables = [each.tables for each in renditions]
        self._order, self._ends = _interleaved(self._tables)
        tracks = [_track(each, init) for each, init in zip(renditions, inits, strict=True)]
        pictures = next((size for init in inits if any(size := _size(init))), (0, 0))
        text = timed_text.samples(captions) if captions else None
        if text:
            tracks.append(timed_text.track(text, language, pictures))
        self._head = self._begin(tracks, text.data if text else b"", VIDEO_TYPE if any(pictures) else AUDIO_TYPE)
        self._head_size = sum(map(len, self._head))
        self.size = self._head_size + self._media_size
        self.tag = self._digest()

    @property
    def _media_size(self) -> int:
        return self._ends[-1]

    def parts(self, start: int, end: int) -> Iterator[Part]:
        """Yield what lies between two offsets, in parts of at most a fragment. Nothing is read."""
        at = 0
        for part in self._head:
            if max(start, at) < min(end, at + len(part)):
                yield cut(part, start - at, end - at)
            at += len(part)
        for index in range(bisect_right(self._ends, start - at), len(self._ends)):
            if (begin := at + self._begin_of(index)) >= end or start >= end:
                return
            yield cut(self._chunk(self._order[index]), start - begin, end - begin)

    def _begin(self, tracks: Sequence[Track], text: bytes, brands: tuple[bytes, bytes]) -> list[Part]:
        """Return what comes before the samples of the renditions, up to those of the texts."""
        ftyp = packed("ftyp", brands[0], struct.pack(">I", 0x200), brands[1])
        mdat = media_header(len(text) + self._media_size)
        scale = lcm(*(track.timescale for track in tracks))
        scale = scale if scale <= LARGEST_SCALE else USUAL_SCALE
        offsets = self._offsets()
        texts = [array("Q", [0])] if text else []
        size = len(ftyp) + len(mdat)
        size += sum(map(len, movie_box(scale, tracks, [big_endian(each) for each in (*offsets, *texts)])))
        moved = [array("Q", (size + len(text) + offset for offset in each)) for each in offsets]
        texts = [array("Q", [size])] if text else []
        moov = movie_box(scale, tracks, [big_endian(each) for each in (*moved, *texts)])
        return _joined([ftyp, *moov, mdat, text])

    def _begin_of(self, index: int) -> int:
        return self._ends[index - 1] if index else 0

    def _offsets(self) -> "list[array[int]]":
        """Return where the chunks of each rendition begin in the samples of all."""
        begins = array("Q", bytes(8 * len(self._order)))
        for index, chunk in enumerate(self._order):
            begins[chunk] = self._begin_of(index)
        firsts = list(accumulate((len(each.sizes) for each in self._tables), initial=0))
        return [begins[first:last] for first, last in pairwise(firsts)]

    def _chunk(self, number: int) -> Slice:
        """Return where the samples of a chunk lie; the chunks of all renditions are counted, one after the other."""
        for tables in self._tables:
            if number < len(tables.sizes):
                break
            number -= len(tables.sizes)
        path = tables.folder / segment_name(tables.segments[number])
        return Slice(path, tables.offsets[number], tables.sizes[number])

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for part in self._head:
            digest.update(part if isinstance(part, bytes) else f"{part.path.parent.name}/{part.path.name}".encode())
        return f'"{digest.hexdigest()[:32]}"'


def _interleaved(tables: Sequence[SampleTables]) -> "tuple[array[int], array[int]]":
    """Return the chunks in the order in which they are shown, and where each ends in the samples of all."""
    scale = lcm(*(each.timescale for each in tables))
    order, ends = array("I"), array("Q", [0])
    firsts = accumulate((len(each.sizes) for each in tables), initial=0)
    for _, number, size in merge(*(_timed(each, scale, first) for each, first in zip(tables, firsts, strict=False))):
        order.append(number)
        ends.append(ends[-1] + size)
    return order, ends[1:]


def _timed(tables: SampleTables, scale: int, first: int) -> Iterator[tuple[int, int, int]]:
    """Yield the start of each chunk, in ticks of this scale, its number, of which the first is given, and its size."""
    start = tables.start
    for number, (ticks, size) in enumerate(zip(tables.ticks, tables.sizes, strict=True), first):
        yield start * (scale // tables.timescale), number, size
        start += ticks


def _track(rendition: Rendition, init: bytes) -> Track:
    tables = rendition.tables
    times = (tables.timescale, tables.start, tables.delay, sum(tables.ticks))
    return Track.of_init(init, [tables.boxes], rendition.language, times)


def _size(init: bytes) -> tuple[int, int]:
    """Return width and height in pixels of an init segment, 0 of audio."""
    found = boxes.find(init, "moov", "trak", "tkhd", skip=0)
    width, height = struct.unpack(">II", found[-8:])
    return width >> 16, height >> 16


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with bytes that follow one another joined, and without empty ones."""
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, bytes) and joined and isinstance(joined[-1], bytes):
            joined[-1] += part
        elif len(part):
            joined.append(part)
    return joined
