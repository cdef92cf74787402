"""H.264 streams as containers hold them, as far as copying them unchanged asks (ITU-T H.264; ISO/IEC 14496-15)."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

SLICE, IDR, SPS, PPS = 1, 5, 7, 8
# Slices, IDR slices, supplements, parameter sets, delimiters, ends, filler, extensions: no partitions, nothing unknown.
ALLOWED = {1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 19}
FORBIDDEN = (b"\x00\x00\x00", b"\x00\x00\x01", b"\x00\x00\x02")  # inside a unit (7.4.1)
WITH_CHROMA = {44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244}  # profiles (7.3.2.1.1)
PLAYABLE = {66, 77, 100}  # Baseline, Main and High: what every player has
# Level: macroblocks a second, in a picture, and in the decoder's memory (table A-1). Above 5.2 few devices play.
LEVELS = {
    9: (1_485, 99, 396),
    10: (1_485, 99, 396),
    11: (3_000, 396, 900),
    12: (6_000, 396, 2_376),
    13: (11_880, 396, 2_376),
    20: (11_880, 396, 2_376),
    21: (19_800, 792, 4_752),
    22: (20_250, 1_620, 8_100),
    30: (40_500, 1_620, 8_100),
    31: (108_000, 3_600, 18_000),
    32: (216_000, 5_120, 20_480),
    40: (245_760, 8_192, 32_768),
    41: (245_760, 8_192, 32_768),
    42: (522_240, 8_704, 34_816),
    50: (589_824, 22_080, 110_400),
    51: (983_040, 36_864, 184_320),
    52: (2_073_600, 36_864, 184_320),
}


class BrokenStream(ValueError):
    """What should be units of H.264 is not."""


@dataclass(frozen=True)
class Sequence:
    """What a sequence parameter set says: size in macroblocks; progressive: no field pictures anywhere."""

    profile: int
    level: int
    references: int
    macroblocks: int
    progressive: bool

    def is_legal(self, rate: Fraction) -> bool:
        """Whether every player takes it: a usual profile, whole pictures, and a level as high as it has to be."""
        if self.profile not in PLAYABLE or self.level not in LEVELS or not self.progressive:
            return False
        per_second, in_picture, in_memory = LEVELS[self.level]
        return (
            self.macroblocks <= in_picture
            and self.macroblocks * rate <= per_second
            and self.macroblocks * self.references <= in_memory
        )


class Track:
    """The units of one track's packets: after their lengths (`avcC`, MP4 and Matroska), or between start codes."""

    def __init__(self, extradata: bytes) -> None:
        self.length_size = (extradata[4] & 3) + 1 if len(extradata) > 5 and extradata[0] == 1 else 0
        self.parameters = frozenset(_parameter_sets(extradata)) if self.length_size else frozenset()

    def is_idr(self, packet: bytes) -> bool:
        return any(unit[0] & 31 == IDR for unit in self.units(packet) if unit)

    def units(self, packet: bytes) -> Iterator[bytes]:
        """The units of a packet, as far as it can be read."""
        if not self.length_size:
            yield from packet.split(b"\x00\x00\x01")[1:]
            return
        yield from (packet[start:end] for start, end in self._spans(packet))

    def _spans(self, packet: bytes) -> Iterator[tuple[int, int]]:
        """Where the units should begin and end; the last one may be said to end after the packet."""
        at = 0
        while at + self.length_size < len(packet):
            start = at + self.length_size
            at = start + int.from_bytes(packet[at:start], "big")
            yield start, at

    def is_whole(self, packet: bytes) -> bool:
        """Whether the packet is a picture that needs no parameters but those of the track's head."""
        if not self.length_size:
            return False
        spans = list(self._spans(packet))
        units = [packet[start:end] for start, end in spans]
        return (
            bool(spans)
            and spans[-1][1] == len(packet)
            and any(unit and unit[0] & 31 in (SLICE, IDR) for unit in units)
            and all(map(self._is_unit, units))
        )

    def _is_unit(self, unit: bytes) -> bool:
        if not unit or unit[0] & 0x80 or unit[0] & 31 not in ALLOWED:
            return False
        if unit[0] & 31 in (SPS, PPS):
            return unit in self.parameters
        return not any(code in unit.rstrip(b"\x00") for code in FORBIDDEN)

    def sequence(self) -> Sequence | None:
        """The one sequence parameter set; None where there are several, or none that can be read."""
        found = [unit for unit in self.parameters if unit[0] & 31 == SPS]
        try:
            return _read_sequence(found[0]) if len(found) == 1 else None
        except BrokenStream:
            return None


def _parameter_sets(extradata: bytes) -> Iterator[bytes]:
    """The parameter sets of an `avcC`: sequences, then pictures, each after its length."""
    at = 5
    for mask in (31, 255):
        count = extradata[at] & mask if at < len(extradata) else 0
        at += 1
        for _ in range(count):
            length = int.from_bytes(extradata[at : at + 2], "big")
            if unit := extradata[at + 2 : at + 2 + length]:
                yield unit
            at += 2 + length


class _Bits:
    """Reads numbers of any number of bits (9.1)."""

    def __init__(self, data: bytes) -> None:
        self.value, self.left = int.from_bytes(data, "big"), 8 * len(data)

    def read(self, count: int) -> int:
        self.left -= count
        if self.left < 0:
            raise BrokenStream("a parameter set ends too soon")
        return self.value >> self.left & ((1 << count) - 1)

    def unsigned(self) -> int:
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)

    def signed(self) -> int:
        number = self.unsigned()
        return (number + 1) // 2 if number % 2 else -number // 2

    def skip(self, count: int) -> None:
        for _ in range(count):
            self.unsigned()


def _read_sequence(unit: bytes) -> Sequence:
    """7.3.2.1.1, up to the size."""
    bits = _Bits(unit[1:].replace(b"\x00\x00\x03", b"\x00\x00"))
    profile, _, level = bits.read(8), bits.read(8), bits.read(8)
    bits.skip(1)
    if profile in WITH_CHROMA:
        _skip_chroma(bits)
    bits.skip(1)
    _skip_order(bits)
    references, _ = bits.unsigned(), bits.read(1)
    width, height = bits.unsigned() + 1, bits.unsigned() + 1
    progressive = bool(bits.read(1))
    return Sequence(profile, level, references, width * height * (1 if progressive else 2), progressive)


def _skip_chroma(bits: _Bits) -> None:
    chroma = bits.unsigned()
    bits.read(int(chroma == 3))
    bits.skip(2)
    bits.read(1)
    if bits.read(1):
        for number in range(12 if chroma == 3 else 8):
            if bits.read(1):
                _skip_scaling(bits, 16 if number < 6 else 64)


def _skip_scaling(bits: _Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) % 256
        last = following or last


def _skip_order(bits: _Bits) -> None:
    """How pictures are put in order."""
    kind = bits.unsigned()
    if kind == 0:
        bits.skip(1)
    elif kind == 1:
        bits.read(1)
        bits.skip(2)
        bits.skip(bits.unsigned())
