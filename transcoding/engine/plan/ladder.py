"""The ladder, which determines the renditions that a source gets."""

from dataclasses import dataclass
from fractions import Fraction

from transcoding.engine.codecs import h264
from transcoding.engine.renditions import Key, Kind, VideoRendition


@dataclass(frozen=True)
class LadderRung:
    """A rung of the ladder. side is the shorter side in pixels; bitrate and audio_bitrate are caps in kbit/s."""

    side: int
    bitrate: int
    audio_bitrate: int

    @property
    def name(self) -> str:
        return str(Key(Kind.VIDEO, self.side))


Ladder = tuple[LadderRung, ...]

# Where `VLOG_LADDER` states no other; the highest rung first.
LADDER: Ladder = (
    LadderRung(2160, 15_000, 192),
    LadderRung(1440, 8_000, 192),
    LadderRung(1080, 5_000, 128),
    LadderRung(720, 2_500, 128),
    LadderRung(480, 1_000, 96),
    LadderRung(360, 600, 96),
    LadderRung(240, 400, 64),
)


# Pixels of the shorter side. The renditions of a source up to ONE_TIER are made together; of a larger source, those
# above FIRST_TIER are made later than the ones that players begin with.
ONE_TIER, FIRST_TIER = 1080, 720
AFTER_ALL_TIERS = 1  # the last tier of the first codec
CODECS_MADE = (h264.CODEC,)  # for each rung; the renditions of each codec after the first form a tier of their own


def _even(length: Fraction | int) -> int:
    """Return the nearest even number of pixels, at least 2: 4:2:0 needs even sides."""
    return max(2, 2 * round(Fraction(length) / 2))


def _floor_even(length: int) -> int:
    return max(2, length // 2 * 2)


def ladder_rungs_for(width: int, height: int, ladder: Ladder = LADDER) -> Ladder:
    """Return the rungs that a source of this displayed size reaches, highest first; empty below the lowest."""
    return tuple(rung for rung in ladder if rung.side <= min(width, height))


def renditions_for(width: int, height: int, ladder: Ladder = LADDER) -> tuple[VideoRendition, ...]:
    """Return the video renditions of a source of this displayed size, highest first; none is larger than the source.

    A source below the lowest rung gets one rendition of its own size, with that rung's cap. The encoder is chosen
    elsewhere.
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
        for side, size, cap, tier in _sizes(width, height, ladder)
    )


def _sizes(width: int, height: int, ladder: Ladder) -> list[tuple[int, tuple[int, int], int, int]]:
    """Return, per rendition, the side that names it, its size in pixels, its cap, and its tier in the first codec."""
    short, found = min(width, height), []
    for rung in ladder_rungs_for(width, height, ladder):
        scale = Fraction(rung.side, short)
        tier = int(short > ONE_TIER and rung.side > FIRST_TIER)
        found.append((rung.side, (_even(width * scale), _even(height * scale)), rung.bitrate, tier))
    if found:
        return found
    own = _floor_even(width), _floor_even(height)
    return [(min(own), own, ladder[-1].bitrate, 0)]


def audio_bitrate_for(width: int, height: int, ladder: Ladder = LADDER) -> int:
    """Return the cap in kbit/s of an audio rendition: that of the highest rung which the source reaches."""
    return (ladder_rungs_for(width, height, ladder) or ladder[-1:])[0].audio_bitrate


def skipped_for(width: int, height: int, ladder: Ladder = LADDER) -> tuple[str, ...]:
    """Return the keys of the H.264 renditions whose rungs the source does not reach."""
    reached = ladder_rungs_for(width, height, ladder)
    return tuple(rung.name for rung in ladder if rung not in reached)
