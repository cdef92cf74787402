"""AAC: its encoder, and what an init segment of it must be. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from transcoding.engine.codecs.codec import Codec, Encoder
from transcoding.engine.formats.boxes import AUDIO_ENTRY, BrokenBoxes, Sample, Track, find
from transcoding.engine.formats.h264 import Bits
from transcoding.engine.renditions import AudioRendition, Kind

STEREO = 2
AAC_LC = 2
SAMPLE_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
ENCODERS = {"aac": Encoder(("-c:a", "aac", "-b:a", "{cap}k"))}
_UNDESCRIBED = "has a track of type 'mp4a' that does not describe its samples"


@dataclass(frozen=True)
class Audio:
    """An AudioSpecificConfig (ISO/IEC 14496-3, 1.6): the kind of AAC, samples a second, channels; and the timescale."""

    kind: int
    rate: int
    channels: int
    timescale: int

    size = None

    @property
    def codecs(self) -> str:
        return f"mp4a.40.{self.kind}"

    def problems(self, rendition: AudioRendition) -> Iterator[str]:
        if (self.kind, self.channels) != (AAC_LC, STEREO):
            yield f"is for {self.codecs} with {_channels(self.channels)}, not for AAC-LC with 2"
        if not self.rate == self.timescale == rendition.sample_rate:
            yield f"is for {self.rate} samples a second, not for {rendition.sample_rate}"

    def advice(self) -> Iterator[str]:
        yield from ()

    def check(self, sample: Sample) -> None:
        """Every frame of AAC can be decoded on its own."""


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"


def config(entry: bytes) -> bytes:
    """Return the AudioSpecificConfig; raises BrokenBoxes."""
    found = _decoder_specific(find(entry, "esds", skip=AUDIO_ENTRY)[12:])
    if len(found) < 2:
        raise BrokenBoxes(_UNDESCRIBED)
    return found


def _decoder_specific(descriptors: bytes) -> bytes:
    """The DecoderSpecificInfo (tag 5) inside the DecoderConfig (4) inside the ES descriptor (3); ISO/IEC 14496-1."""
    for tag, fields in ((3, 3), (4, 13), (5, 0)):
        at, length = 1, 0
        if descriptors[:1] != bytes([tag]):
            raise BrokenBoxes(_UNDESCRIBED)
        while descriptors[at : at + 1] >= b"\x80":  # a length has seven bits a byte, and more follow
            length = length << 7 | descriptors[at] & 0x7F
            at += 1
        length = length << 7 | int.from_bytes(descriptors[at : at + 1], "big")
        descriptors = descriptors[at + 1 : at + 1 + length][fields:]
    return descriptors


def codecs(specific: bytes) -> str:
    return f"mp4a.40.{specific[0] >> 3}"


def describe(track: Track) -> Audio:
    """Raises BrokenBoxes or BrokenStream."""
    bits = Bits(config(track.entry))
    kind, index = bits.read(5), bits.read(4)
    rate = bits.read(24) if index == 15 else (*SAMPLE_RATES, 0, 0)[index]
    return Audio(kind, rate, bits.read(4), track.timescale)


CODEC = Codec("aac", Kind.AUDIO, "mp4a", ENCODERS, config, codecs, describe)
