"""What a codec is to VLog: one row of the table of codecs. Pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from transcoding.engine.formats.boxes import Sample, Track
from transcoding.engine.renditions import Kind

# x264's names, from the quickest. Other encoders need not use {preset}.
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
SMALL = 1000  # kbit/s; such pictures lose most by a quick preset, and cost next to nothing with a slower one
AVERAGE = 0.8  # of the cap, for encoders without a constant quality below a cap
BUFFER = 2  # seconds at a limit below the cap that an encoder may be ahead: a picture of a slide is much at once


@dataclass(frozen=True)
class Encoder:
    """One of ffmpeg's encoders.

    arguments contain {preset}, and in kbit/s {cap}, {limit}, {buffer} and {average}. device opens its hardware, before
    the input; upload moves the pictures there, after the filters of a rendition.
    """

    arguments: tuple[str, ...]
    device: tuple[str, ...] = ()
    upload: str = ""

    def arguments_for(self, preset: str, cap: int, limit: int = 0) -> tuple[str, ...]:
        """Return the arguments of a rendition with this cap in kbit/s; preset is that of the large renditions.

        limit: what the rendition may have on average, in kbit/s, if that is less.
        """
        slower = PRESETS[min(PRESETS.index(preset) + 1, len(PRESETS) - 1)] if preset in PRESETS else preset
        highest = min(cap, limit or cap)
        values = {
            "preset": slower if cap <= SMALL else preset,
            "cap": cap,
            "limit": highest,
            "buffer": min(cap, BUFFER * highest),
            "average": round(AVERAGE * highest),
        }
        return tuple(part.format(**values) for part in self.arguments)


class Description(Protocol):
    """What an init segment says of its samples."""

    @property
    def codecs(self) -> str:
        """The CODECS value of playlists (RFC 6381)."""

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels; None for audio."""

    def problems(self, rendition: Any) -> Iterator[str]:
        """Say what is not as the plan's rendition says; each text follows the name of the init segment."""

    def advice(self) -> Iterator[str]:
        """Say what could be better; each text follows the name of the rendition."""

    def check(self, sample: Sample) -> None:
        """Raise BrokenStream where the first sample of a fragment cannot be decoded on its own."""


@dataclass(frozen=True)
class Codec:
    """A row of the table.

    sample_entry is the type of its samples in an init segment (`avc1`), suffix ends the keys of its renditions (none
    for the codecs that every player has). config takes the decoder's configuration out of a sample entry, codecs makes
    the CODECS value of it, describe reads all of it. The software encoder is the last of the encoders.
    """

    name: str
    kind: Kind
    sample_entry: str
    encoders: Mapping[str, Encoder]
    config: Callable[[bytes], bytes]
    codecs: Callable[[bytes], str]
    describe: Callable[[Track], Description]
    suffix: str = ""

    def encoder(self, preferred: str) -> Encoder:
        """Return the preferred encoder where it is one of this codec's, else the software encoder."""
        return self.encoders.get(preferred) or list(self.encoders.values())[-1]
