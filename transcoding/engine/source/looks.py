"""What the pictures of a source look like: shape, colours, fields; and where that changes within the file."""

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import av
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from transcoding.engine.formats import h264
from transcoding.engine.formats.h264 import BrokenStream, read_sps
from transcoding.engine.plan.media import MAX_PIXELS, ColorInfo
from transcoding.engine.source.description import NO_CROP, Crop

TRANSFERS: dict[int, str] = {ColorTrc.SMPTE2084: "pq", ColorTrc.ARIB_STD_B67: "hlg"}
MATRICES: dict[int, str] = {
    Colorspace.ITU709: "bt709",
    **dict.fromkeys((Colorspace.ITU601, 6, Colorspace.FCC, Colorspace.SMPTE240M), "bt601"),  # 6: 525 lines
    **dict.fromkeys((Colorspace.BT2020, 10), "bt2020"),  # 10: with constant luminance
}
PRIMARIES: dict[int, str] = {
    ColorPrimaries.BT2020: "bt2020",
    ColorPrimaries.SMPTE431: "dci-p3",
    ColorPrimaries.SMPTE432: "p3",
}
UPRIGHT = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)  # a display matrix that changes nothing; fixed point
WITH_PARAMETERS = {"h264", "hevc", "mpeg2video"}
MOST_KINDS = 16  # of parameter sets that are decoded

START = b"\x00\x00\x01"
H264_SPS, HEVC_SPS = 7, 33  # types of NAL units
SEQUENCE, EXTENSION = 0xB3, 0xB5  # start codes of MPEG-2 (ISO/IEC 13818-2, table 6-1)
SEQUENCE_EXTENSION = 1


@dataclass(frozen=True)
class Appearance:
    """How one picture is shown: its size in square pixels, after rotation; and its size as stored, without its crop."""

    width: int
    height: int
    stored: tuple[int, int]
    colors: ColorInfo


@dataclass
class Stretches:
    """The parts of a stream with parameters of their own: the number of the first packet, and the parameter sets.

    pictures has a keyframe, with start codes, for each of the first MOST_KINDS different parameter sets. header is that
    of the track: MP4 and Matroska may have the first parameter sets there, and lengths in the place of start codes.
    """

    codec: str
    header: bytes = b""
    begins: list[int] = field(default_factory=list)
    units: list[bytes] = field(default_factory=list)
    pictures: dict[bytes, bytes] = field(default_factory=dict)

    def add(self, number: int, keyframe: bytes) -> None:
        """Add a keyframe, given the number of its packet."""
        if self.codec not in WITH_PARAMETERS:
            return
        size = _length_size(self.codec, self.header)
        found, stated = b"".join(parameter_sets(self.codec, keyframe, size)), b""
        if not found and not self.units:
            stated = _stated(self.codec, self.header)
            found = b"".join(parameter_sets(self.codec, stated))
        if not found or (self.units and self.units[-1] == found):
            return
        if found not in self.pictures and len(self.pictures) == MOST_KINDS:
            return
        self.begins.append(number)
        self.units.append(found)
        self.pictures.setdefault(found, stated + (_with_start_codes(keyframe, size) if size else keyframe))

    def parameter_sets(self) -> Iterator[bytes]:
        """Yield all parameter sets, each once."""
        for picture in self.pictures.values():
            yield from parameter_sets(self.codec, picture)

    def drop(self, packets: int) -> None:
        """Forget so many packets at the beginning."""
        self.begins = [max(0, number - packets) for number in self.begins]


def _length_size(codec: str, header: bytes) -> int:
    """Return the bytes of the length before each NAL unit (ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1); 0: start codes."""
    place = {"h264": 4, "hevc": 21}.get(codec, len(header))
    return (header[place] & 3) + 1 if header[:1] == b"\x01" and len(header) > place else 0


def _with_start_codes(packet: bytes, size: int) -> bytes:
    """Return the NAL units of a packet with start codes instead of their lengths, which have so many bytes."""
    return b"".join(START + packet[begin:end] for begin, end in _spans(packet, size))


def _spans(packet: bytes, size: int) -> Iterator[tuple[int, int]]:
    """Yield where the NAL units of a packet begin and end, each of which follows its length in so many bytes."""
    at = 0
    while at + size < len(packet):
        begin = at + size
        at = begin + int.from_bytes(packet[at:begin], "big")
        yield begin, at


def _stated(codec: str, header: bytes) -> bytes:
    """Return the parameter sets in the header of an H.264 track, with start codes."""
    if codec != "h264" or header[:1] != b"\x01":
        return b""
    return b"".join(START + unit for units in h264.parameter_sets(header) for unit in units)


def parameter_sets(codec: str, data: bytes, size: int = 0) -> Iterator[bytes]:
    """Yield the units of a packet that say how its pictures are to be shown.

    size: of the length before each unit, in bytes; 0 if start codes precede them.
    """
    # Most of a packet is not copied.
    units = (data[begin:end] for begin, end in _spans(data, size) if _is_wanted(codec, data[begin])) if size else ()
    for unit in units or data.split(START)[1:]:
        if unit and _is_wanted(codec, unit[0]):
            yield unit.rstrip(b"\x00")


def _is_wanted(codec: str, kind: int) -> bool:
    if codec == "h264":
        return kind & 31 == H264_SPS
    return kind >> 1 & 63 == HEVC_SPS if codec == "hevc" else codec == "mpeg2video" and kind in (SEQUENCE, EXTENSION)


def stated_parameter_sets(codec: str, extradata: bytes) -> Iterable[bytes]:
    """Return the parameter sets in the header of a track."""
    if codec == "h264" and extradata[:1] == b"\x01":
        return h264.parameter_sets(extradata)[0]
    return parameter_sets(codec, extradata)


def may_be_interlaced(codec: str, units: Iterable[bytes]) -> bool:
    """Return whether parameter sets allow interlaced pictures, whatever the first picture is."""
    return any(_allows_fields(codec, unit) for unit in units)


def _allows_fields(codec: str, unit: bytes) -> bool:
    with suppress(BrokenStream, IndexError):
        if codec == "h264" and unit[0] & 31 == H264_SPS:
            return not read_sps(unit)[1].progressive
        if codec == "mpeg2video" and unit[0] == EXTENSION and unit[1] >> 4 == SEQUENCE_EXTENSION:
            return not unit[2] >> 3 & 1  # progressive_sequence (6.2.2.3)
    return False


def look_of(frame: VideoFrame, aspect: Fraction, crop: Crop = NO_CROP) -> Appearance:
    """Return how a frame is shown; aspect is that of its stored pixels."""
    left, right, top, bottom = crop
    stored = max(1, frame.width - left - right), max(1, frame.height - top - bottom)
    width, height = max(1, round(stored[0] * aspect)), stored[1]
    if frame.rotation % 180:
        width, height = height, width
    return Appearance(width, height, stored, _color_info(frame))


def is_upright(frame: VideoFrame) -> bool:
    """Return whether a frame is neither rotated nor mirrored (a mirrored frame has a rotation of 0, too)."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    return matrix is None or struct.unpack("9i", bytes(matrix)) == UPRIGHT


def _color_info(frame: VideoFrame) -> ColorInfo:
    """Return how the pixel values of a frame are to be interpreted.

    If the frame does not state its matrix, this assumes what players do: BT.601 in standard definition, else BT.709.
    """
    standard_definition = max(frame.width, frame.height) <= 1024 and min(frame.width, frame.height) <= 576
    usual = "bt601" if standard_definition else "bt709"
    is_rgb = frame.format.is_rgb
    return ColorInfo(
        interlaced=bool(frame.interlaced_frame),
        transfer=TRANSFERS.get(frame.color_trc, "sdr"),
        matrix="rgb" if is_rgb else MATRICES.get(frame.colorspace, usual),
        full_range=not is_rgb and (frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")),
        primaries=PRIMARIES.get(frame.color_primaries, "bt709"),
    )


def parts_of(first: Appearance, stretches: Stretches | None, *, turned: bool) -> list[tuple[int, Appearance]]:
    """Return the parts of a track that look differently: the number of the first packet, and the look.

    first: how the first picture looks. turned: the container turns pictures on their side.
    """
    if stretches is None or len(stretches.units) < 2:
        return [(0, first)]
    looks = {units: _decode(stretches.codec, picture, turned) or first for units, picture in stretches.pictures.items()}
    if stretches.header:  # there the container also says how they are shown
        looks[stretches.units[0]] = first
    parts = [(begin, looks[units]) for begin, units in zip(stretches.begins, stretches.units, strict=True)]
    return [part for number, part in enumerate(parts) if number == 0 or part[1] != parts[number - 1][1]]


def common_look(parts: list[tuple[int, Appearance]], packets: int) -> Appearance:
    """Return the look of most of the pictures, of which there are as many as packets.

    It is interlaced if any part is: only the pictures that are marked so are deinterlaced.
    """
    counts: Counter[Appearance] = Counter()
    for (begin, look), end in zip(parts, [*(begin for begin, _ in parts[1:]), packets], strict=True):
        counts[look] += end - begin
    most = counts.most_common(1)[0][0]
    return replace(most, colors=replace(most.colors, interlaced=any(look.colors.interlaced for look in counts)))


def _decode(codec: str, keyframe: bytes, turned: bool) -> Appearance | None:
    """Return the look of a keyframe; None if it cannot be decoded on its own."""
    context: Any = av.CodecContext.create(codec, "r")
    context.options = {"max_pixels": str(MAX_PIXELS)}
    context.thread_count = 1
    with suppress(av.error.FFmpegError):
        for frame in [*context.decode(av.Packet(keyframe)), *context.decode(None)]:
            look = look_of(frame, context.sample_aspect_ratio or Fraction(1))
            return replace(look, width=look.height, height=look.width) if turned else look
    return None
