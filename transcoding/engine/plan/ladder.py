"""The ladder: which renditions a source gets."""

from dataclasses import dataclass
from fractions import Fraction

from transcoding.engine.codecs import h264
from transcoding.engine.renditions import Key, Kind, VideoRendition


@dataclass(frozen=True)
class LadderRung:
    """A rung of the ladder: shorter side in pixels, caps of video and audio in kbit/s."""

    side: int
    bitrate: int
    audio_bitrate: int

    @property
    def name(self) -> str:
        return str(Key(Kind.VIDEO, self.side))


LADDER = (
    LadderRung(2160, 15_000, 192),
    LadderRung(1440, 8_000, 192),
    LadderRung(1080, 5_000, 128),
    LadderRung(720, 2_500, 128),
    LadderRung(480, 1_000, 96),
    LadderRung(360, 600, 96),
)


# The shorter side up to which a source has all its renditions made at once; above, the large ones are made after those
# that players begin with.
ONE_TIER, FIRST_TIER = 1080, 720
AFTER_ALL_TIERS = 1  # the last tier of the first codec
CODECS_MADE = (h264.CODEC,)  # of each rung; renditions of the second and later codecs form tiers of their own


def _even(length: Fraction | int) -> int:
    return max(2, 2 * round(Fraction(length) / 2))


def _floor_even(length: int) -> int:
    return max(2, length // 2 * 2)


def ladder_rungs_for(width: int, height: int) -> tuple[LadderRung, ...]:
    """Return the rungs that a source of this displayed size reaches, highest first; empty below the lowest."""
    return tuple(rung for rung in LADDER if rung.side <= min(width, height))


def renditions_for(width: int, height: int) -> tuple[VideoRendition, ...]:
    """Return the video renditions of a source of this displayed size, highest first: never larger than the source.

    A source below the lowest rung gets one rendition of its own size, at that rung's cap. What encodes them is not
    decided here.
    """
    return tuple(
        VideoRendition(
            key=str(Key(Kind.VIDEO, side, codec.suffix)),
            codec=codec.name,
            width=size[0],
            height=size[1],
            bitrate=cap,
            tier=tier if number == 0 else AFTER_ALL_TIERS + number,
        )
        for number, codec in enumerate(CODECS_MADE)
        for side, size, cap, tier in _sizes(width, height)
    )


def _sizes(width: int, height: int) -> list[tuple[int, tuple[int, int], int, int]]:
    """The side that names each rendition, its size in pixels, its cap, and its tier in the first codec."""
    short, found = min(width, height), []
    for rung in ladder_rungs_for(width, height):
        scale = Fraction(rung.side, short)
        tier = int(short > ONE_TIER and rung.side > FIRST_TIER)
        found.append((rung.side, (_even(width * scale), _even(height * scale)), rung.bitrate, tier))
    if found:
        return found
    own = _floor_even(width), _floor_even(height)
    return [(min(own), own, LADDER[-1].bitrate, 0)]


def audio_bitrate_for(width: int, height: int) -> int:
    """Return the cap in kbit/s of an audio rendition: the highest that applies to any rung."""
    return (ladder_rungs_for(width, height) or LADDER[-1:])[0].audio_bitrate


def skipped_for(width: int, height: int) -> tuple[str, ...]:
    """Return the keys of the renditions of H.264 whose rungs the source does not reach."""
    reached = ladder_rungs_for(width, height)
    return tuple(rung.name for rung in LADDER if rung not in reached)
