"""Parts of a video whose pictures have another shape or other colours than most, and how they become alike. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from transcoding.engine.plan import filters
from transcoding.engine.plan.media import ColorInfo, VideoTrack

SAME_SHAPE = Fraction(1, 50)  # the share by which the aspect ratio of two pictures may differ


@dataclass(frozen=True)
class Shape:
    """The displayed size, in square pixels, of the pictures from a frame on."""

    frame: int
    width: int
    height: int

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Shape":
        return cls(int(data["frame"]), int(data["width"]), int(data["height"]))


@dataclass(frozen=True)
class Conversion:
    """The filters that convert the pictures from a frame on to BT.709, as `Plan.tone_map` does all of them."""

    frame: int
    filters: str

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Conversion":
        return cls(int(data["frame"]), data["filters"])


def shapes_of(video: VideoTrack) -> tuple[Shape, ...]:
    """Return the shapes of the parts of a video; nothing if all have the same, whatever their size."""
    shapes = tuple(Shape(part.frame, part.width, part.height) for part in video.parts)
    ratios = [Fraction(shape.width * video.height, shape.height * video.width) for shape in shapes]
    return shapes if any(abs(ratio - 1) > SAME_SHAPE for ratio in ratios) else ()


def conversions_of(video: VideoTrack) -> tuple[Conversion, ...]:
    """Return how the colours of the parts of a video are converted; nothing if all have the same."""
    found = tuple(Conversion(part.frame, filters.standard(part.look)) for part in video.parts)
    return found if len({each.filters for each in found}) > 1 else ()


def look_of_all(look: ColorInfo, conversions: tuple[Conversion, ...]) -> ColorInfo:
    """Return the look that all pictures have once the parts are converted."""
    return ColorInfo() if conversions else look
