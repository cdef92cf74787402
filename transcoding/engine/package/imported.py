"""Packages that another program has made: HLS with MPEG-TS or fragmented MP4, and the sound in each segment.

Their renditions are read from their own playlist, the sizes of the segments, and the first segment.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from transcoding.engine.codecs import aac
from transcoding.engine.formats import boxes, program
from transcoding.engine.formats.boxes import VISUAL_ENTRY, BrokenBoxes
from transcoding.engine.formats.program import BrokenProgram
from transcoding.engine.formats.webvtt import MPEG_CLOCK
from transcoding.engine.package import playlists
from transcoding.engine.package.playlists import Variant

TS, CMAF = "ts", "cmaf"
SUFFIXES = {TS: ".ts", CMAF: ".m4s"}
LENGTH = re.compile(r"#EXTINF:(\d{1,5}(?:\.\d{1,9})?)")
MAX_SEGMENTS = 100_000  # a day has 14 400 of six seconds
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,200}")
HEAD = 1 << 20  # bytes of a segment in which its first fragment begins


class BrokenPackage(ValueError):
    """The files are no rendition that can be played; the message says why."""


@dataclass(frozen=True)
class ImportedRendition:
    """seconds and sizes (bytes) of each segment. size in pixels; rate: pictures a second, 0 where it is not known.

    first_time: when the first picture is shown, in ticks of the MPEG clock.
    """

    codecs: str
    size: tuple[int, int] | None
    rate: Fraction
    first_time: int
    seconds: tuple[Fraction, ...]
    sizes: tuple[int, ...]

    @property
    def duration(self) -> Fraction:
        return sum(self.seconds, Fraction(0))

    @property
    def bitrate(self) -> int:
        """Average, in bit/s."""
        return round(8 * sum(self.sizes) / self.duration)


def entries(text: str) -> list[tuple[Fraction, str]]:
    """Return the length in seconds and the name of each segment of a playlist. Raises BrokenPackage."""
    found: list[tuple[Fraction, str]] = []
    length = Fraction(0)
    for line in text.splitlines():
        if match := LENGTH.match(line):
            length = Fraction(match[1])
        elif line and not line.startswith("#"):
            if not NAME.fullmatch(line) or ".." in line or len(found) == MAX_SEGMENTS:
                raise BrokenPackage(f"its playlist names {line[:100]!r}, which is no segment beside it")
            found.append((length, line))
    if not found or sum(each for each, _ in found) <= 0:
        raise BrokenPackage("its playlist has no segments")
    return found


def read_ts(seconds: Sequence[Fraction], sizes: Sequence[int], first: bytes) -> ImportedRendition:
    """Return a rendition of transport streams; first: the beginning of the first segment. Raises BrokenPackage."""
    try:
        found = program.read(first[: program.LOOKED_AT])
    except BrokenProgram as error:
        raise BrokenPackage(f"its first segment cannot be read: {error}") from error
    rate = found.frames / seconds[0] if seconds[0] and len(first) == sizes[0] else Fraction(0)
    return ImportedRendition(found.codecs, found.size, rate, found.first_time, tuple(seconds), tuple(sizes))


def read_cmaf(seconds: Sequence[Fraction], sizes: Sequence[int], init: bytes, first: bytes) -> ImportedRendition:
    """Return a rendition of fragmented MP4; first: the beginning of the first segment. Raises BrokenPackage."""
    try:
        tracks = [box for kind, box in boxes.children(boxes.find(init, "moov", skip=0)) if kind == "trak"]
        found = [_codec(track) for track in tracks]
        number = next((number for number, (_, size) in enumerate(found) if size), None)
        if number is None:
            raise BrokenPackage("its init segment has no pictures")
        first_time, rate = _times(tracks[number], first)
    except (BrokenBoxes, IndexError) as error:
        raise BrokenPackage(f"its segments cannot be read: one {error}") from error
    codecs = [found[number][0], *(codec for codec, size in found if not size)]
    named = ",".join(dict.fromkeys(codecs)) if all(codecs) else ""
    return ImportedRendition(named, found[number][1], rate, first_time, tuple(seconds), tuple(sizes))


def _codec(track: bytes) -> tuple[str, tuple[int, int] | None]:
    """Return the CODECS value of a track, empty where it is not known, and its size in pixels if it has one."""
    stsd = boxes.find(track, "mdia", "minf", "stbl", "stsd")
    kind, entry = next(boxes.children(stsd, 16))
    if kind == "mp4a":
        return aac.codecs(aac.config(entry)), None
    configs = {"avc1": "avcC", "avc3": "avcC", "hvc1": "hvcC", "hev1": "hvcC", "av01": "av1C"}
    if kind not in configs:
        return "", None
    size = boxes.visual_size(entry)
    return _CODECS[configs[kind]](kind, boxes.find(entry, configs[kind], skip=VISUAL_ENTRY)[8:]), size


def _avc(kind: str, config: bytes) -> str:
    return f"{kind}.{config[1:4].hex()}"


def _hevc(kind: str, config: bytes) -> str:
    """ISO/IEC 14496-15, annex E.3."""
    space = ("", "A", "B", "C")[config[1] >> 6]
    compatible = f"{int.from_bytes(config[2:6], 'big'):032b}"
    flags = f"{int(compatible[::-1], 2):X}"
    tier, constraints = "H" if config[1] & 0x20 else "L", config[6:12].rstrip(b"\x00")
    parts = [f"{space}{config[1] & 0x1F}", flags, f"{tier}{config[12]}", *(f"{byte:X}" for byte in constraints)]
    return ".".join([kind, *parts])


def _av1(kind: str, config: bytes) -> str:
    """AV1 Codec ISO Media File Format Binding, section 5."""
    tier, bits = "H" if config[2] & 0x80 else "M", 8 + 2 * bool(config[2] & 0x40) + 2 * bool(config[2] & 0x20)
    return f"{kind}.{config[1] >> 5}.{config[1] & 0x1F:02}{tier}.{bits:02}"


_CODECS = {"avcC": _avc, "hvcC": _hevc, "av1C": _av1}


def _times(track: bytes, first: bytes) -> tuple[int, Fraction]:
    """Return when the first picture of a track is shown, in ticks of the MPEG clock, and its pictures a second."""
    tkhd, mdhd = boxes.find(track, "tkhd"), boxes.find(track, "mdia", "mdhd")
    number = int.from_bytes(tkhd[28:32] if tkhd[8:9] == b"\x01" else tkhd[20:24], "big")
    scale = int.from_bytes(mdhd[28:32] if mdhd[8:9] == b"\x01" else mdhd[20:24], "big")
    for at, start, run in boxes.runs_of(_first_fragment(first)):
        if at == number and scale:
            shown, ticks = start + run.delays[0], sum(run.durations)
            return shown * MPEG_CLOCK // scale, Fraction(len(run.sizes) * scale, ticks) if ticks else Fraction(0)
    return 0, Fraction(0)


def _first_fragment(segment: bytes) -> bytes:
    """Return the first `moof`, before which a segment may have other boxes. Raises BrokenBoxes."""
    at = 0
    while at + 8 <= len(segment):
        size = int.from_bytes(segment[at : at + 4], "big")
        if segment[at + 4 : at + 8] == b"moof" and at + size <= len(segment):
            return segment[at : at + size]
        if size < 8:
            break
        at += size
    raise BrokenBoxes("has no fragment")


def segment_name(layout: str, index: int) -> str:
    return f"{index:05}{SUFFIXES[layout]}"


def media_playlist(layout: str, seconds: Sequence[Fraction]) -> str:
    """Return the playlist of a rendition under the names that its files have here."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{max(1, *map(ceil, seconds))}"]
    lines += ["#EXT-X-PLAYLIST-TYPE:VOD", *(['#EXT-X-MAP:URI="init.mp4"'] if layout == CMAF else [])]
    for index, length in enumerate(seconds):
        lines += [f"#EXTINF:{float(length):.6f},", segment_name(layout, index)]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def variant(key: str, rendition: ImportedRendition) -> Variant:
    """Return what the master playlist says of a rendition, with its measured bitrates."""
    width, height = rendition.size or (0, 0)
    peak = playlists.peak_bitrate(rendition.sizes, rendition.seconds)
    return Variant(
        key=key, width=width, height=height, rate=rendition.rate, peak=peak, average=rendition.bitrate,
        codecs=rendition.codecs or None,
    )  # fmt: skip
