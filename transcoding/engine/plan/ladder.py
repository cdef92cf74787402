"""The ladder: which renditions a source gets."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class LadderRung:
    """A step of the ladder: shorter side in pixels, caps of video and audio in kbit/s."""

    side: int
    bitrate: int
    audio_bitrate: int

    @property
    def name(self) -> str:
        return f"{self.side}p"


LADDER = (
    LadderRung(2160, 15_000, 192),
    LadderRung(1440, 8_000, 192),
    LadderRung(1080, 5_000, 128),
    LadderRung(720, 2_500, 128),
    LadderRung(480, 1_000, 96),
    LadderRung(360, 600, 96),
)


# The shorter side up to which a source has all its rungs made at once; above, the large ones wait for those that play
# soon.
ONE_TIER, FIRST_TIER = 1080, 720
LEAD = 720  # of rungs that a player begins with, where somebody waits


@dataclass(frozen=True)
class Rung:
    """One video rendition: size in pixels (even, square pixels), cap in kbit/s, copied from the source or encoded.

    Those of tier 0 are made first.
    """

    name: str
    width: int
    height: int
    bitrate: int
    copied: bool = False
    tier: int = 0

    @property
    def leads(self) -> bool:
        """Whether it is made before the others where somebody waits: a player begins with it, or it costs nothing."""
        return self.copied or min(self.width, self.height) <= LEAD


def _even(length: Fraction | int) -> int:
    return max(2, 2 * round(Fraction(length) / 2))


def _floor_even(length: int) -> int:
    return max(2, length // 2 * 2)


def ladder_rungs_for(width: int, height: int) -> tuple[LadderRung, ...]:
    """The steps that a source of this displayed size reaches, highest first; empty below the lowest."""
    return tuple(step for step in LADDER if step.side <= min(width, height))


def rungs_for(width: int, height: int) -> tuple[Rung, ...]:
    """The renditions of a source of this displayed size, highest first: never larger than the source.

    A source below the lowest step gets one rendition of its own size, at that step's cap.
    """
    short = min(width, height)
    rungs = []
    for step in ladder_rungs_for(width, height):
        scale = Fraction(step.side, short)
        tier = int(short > ONE_TIER and step.side > FIRST_TIER)
        rungs.append(Rung(step.name, _even(width * scale), _even(height * scale), step.bitrate, tier=tier))
    if rungs:
        return tuple(rungs)
    own = _floor_even(width), _floor_even(height)
    return (Rung(f"{min(own)}p", *own, LADDER[-1].bitrate),)


def audio_bitrate_for(width: int, height: int) -> int:
    """Cap in kbit/s of the one audio rendition: the highest that applies to any rung."""
    return (ladder_rungs_for(width, height) or LADDER[-1:])[0].audio_bitrate


def skipped_for(width: int, height: int) -> tuple[str, ...]:
    """The names of the steps that the source does not reach."""
    reached = ladder_rungs_for(width, height)
    return tuple(step.name for step in LADDER if step not in reached)
