"""The checks that decide whether H.264 packets may be copied unchanged (ITU-T H.264; ISO/IEC 14496-15)."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

from transcoding.engine.formats.h264 import IDR, PPS_UNIT, SPS_UNIT, BrokenStream, parameter_sets, read_sps

SLICE = 1
# NAL unit types: slices, IDR slices, SEI, parameter sets, delimiters, ends, filler, extensions; no data partitions, and
# no reserved types.
ALLOWED = {1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 19}
FORBIDDEN = (b"\x00\x00\x00", b"\x00\x00\x01", b"\x00\x00\x02")  # byte sequences that no NAL unit may contain (7.4.1)
PLAYABLE = {66, 77, 100}  # Baseline, Main and High, which every player supports
# Level: the most macroblocks per second, per picture, and in the decoder's memory (table A-1). Few devices support
# levels above 5.2.
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


@dataclass(frozen=True)
class Sequence:
    """What copying needs of a sequence parameter set. macroblocks: per picture; progressive: no fields anywhere."""

    profile: int
    level: int
    references: int
    macroblocks: int
    progressive: bool

    def is_legal(self, rate: Fraction) -> bool:
        """Return whether every player supports it: a common profile, no fields, a sufficient level for this rate."""
        if self.profile not in PLAYABLE or self.level not in LEVELS or not self.progressive:
            return False
        per_second, in_picture, in_memory = LEVELS[self.level]
        return (
            self.macroblocks <= in_picture
            and self.macroblocks * rate <= per_second
            and self.macroblocks * self.references <= in_memory
        )


class Track:
    """Reads the NAL units of a track's packets, which follow their lengths (`avcC`: MP4, Matroska) or start codes."""

    def __init__(self, extradata: bytes) -> None:
        self.length_size = (extradata[4] & 3) + 1 if len(extradata) > 5 and extradata[0] == 1 else 0
        self.parameters = frozenset(chain(*parameter_sets(extradata))) if self.length_size else frozenset()

    def is_idr(self, packet: bytes) -> bool:
        """Return whether a packet contains an IDR slice."""
        return any(unit[0] & 31 == IDR for unit in self.units(packet) if unit)

    def units(self, packet: bytes) -> Iterator[bytes]:
        """Yield the NAL units of a packet, as far as it can be read."""
        if not self.length_size:
            yield from packet.split(b"\x00\x00\x01")[1:]
            return
        yield from (packet[start:end] for start, end in self._spans(packet))

    def _spans(self, packet: bytes) -> Iterator[tuple[int, int]]:
        """Yield start and end of each NAL unit; the last one may end after a packet that is damaged."""
        at = 0
        while at + self.length_size < len(packet):
            start = at + self.length_size
            at = start + int.from_bytes(packet[at:start], "big")
            yield start, at

    def is_whole(self, packet: bytes) -> bool:
        """Return whether a packet is a complete picture that needs only the parameter sets in the track's header."""
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
        """Return whether a NAL unit is well-formed and allowed; parameter sets must be those of the track's header."""
        if not unit or unit[0] & 0x80 or unit[0] & 31 not in ALLOWED:
            return False
        if unit[0] & 31 in (SPS_UNIT, PPS_UNIT):
            return unit in self.parameters
        return not any(code in unit.rstrip(b"\x00") for code in FORBIDDEN)

    def sequence(self) -> Sequence | None:
        """Return the only sequence parameter set; None if there are several, or none that can be read."""
        found = [unit for unit in self.parameters if unit[0] & 31 == SPS_UNIT]
        try:
            return _sequence(found[0]) if len(found) == 1 else None
        except BrokenStream:
            return None


def _sequence(unit: bytes) -> Sequence:
    _, sps = read_sps(unit)
    return Sequence(sps.profile, sps.level, sps.references, sps.macroblocks, sps.progressive)
