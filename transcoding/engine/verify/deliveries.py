"""A segment that comes from another machine, held against the plan before it is kept: viewers get it as it is."""

from fractions import Fraction
from io import BytesIO

from transcoding.engine.contract import INIT
from transcoding.engine.formats.boxes import BrokenBoxes
from transcoding.engine.formats.h264 import BrokenStream
from transcoding.engine.package.contents import segment_name
from transcoding.engine.plan.plan import Plan
from transcoding.engine.verify.tracks import Track, begin_track, sound_fragments, wrong_length

LARGEST_INIT = 8 * 1024  # bytes; ours have about one thousand
ABOVE_CAP = 2  # times: what the caps of encoders, and of what is copied, leave to one segment
BESIDE = 128 * 1024  # bytes: boxes, and sound that is louder here than there


class InvalidDelivery(ValueError):
    """It is not what the plan says; the message says why, as a sentence."""


def largest(plan: Plan, rendition: str, index: int) -> int:
    """The bytes that one segment (or INIT) of a rendition can have at most."""
    if index == INIT:
        return LARGEST_INIT
    if rendition == "audio" and plan.audio:
        cap, seconds = plan.audio.bitrate, plan.audio.timeline.seconds(index)
    else:
        cap = next(rung.bitrate for rung in plan.rungs if rung.name == rendition)
        seconds = plan.timeline.seconds(index)
    return int(ABOVE_CAP * cap * 1000 * (seconds + 1) / 8) + BESIDE


def check_init(plan: Plan, rendition: str, init: bytes) -> None:
    """Whether it is one track of what the rendition is to be, and nothing else. Raises InvalidDelivery."""
    _track(plan, rendition, init)


def check_segment(plan: Plan, rendition: str, index: int, init: bytes, data: bytes) -> None:
    """Check that a segment holds all its frames in their places, decodable with this init segment.

    Raises InvalidDelivery.

    Nothing of it is decoded: what the pictures show is not looked at.
    """
    track, name = _track(plan, rendition, init), f"{rendition}/{segment_name(index)}"
    try:
        units, ticks = _measure(track, name, index, data)
    except (BrokenBoxes, BrokenStream) as error:
        raise InvalidDelivery(f"{name} {error}.") from error
    planned = track.timeline.length(index)
    may_end_early = rendition == "audio" and index + 1 == len(track.timeline)
    if units != planned and not may_end_early:
        raise InvalidDelivery(f"{name} has {units} frames, not {planned} as planned.")
    for problem in wrong_length(name, Fraction(ticks, track.timescale), track.timeline, index):
        raise InvalidDelivery(f"{problem}.")


def _track(plan: Plan, rendition: str, init: bytes) -> Track:
    try:
        track = begin_track(rendition, init, plan)
    except (BrokenBoxes, BrokenStream) as error:
        raise InvalidDelivery(f"{rendition}/init.mp4 {error}.") from error
    if track.problems:
        raise InvalidDelivery(f"{track.problems[0]}.")
    return track


def _measure(track: Track, name: str, index: int, data: bytes) -> tuple[int, int]:
    """How many frames, and how many ticks they last; each fragment must begin where the one before ends."""
    first, units, expected, start = track.timeline.starts[index], 0, 0, 0
    for fragment in sound_fragments(BytesIO(data), track.description):
        if not units:
            start = expected = fragment.start
            # Rounded down: what is copied may begin a part of a frame late, throughout.
            if int(Fraction(start, track.timescale) / track.timeline.unit) != first:
                begin, wanted = start / track.timescale, float(first * track.timeline.unit)
                raise InvalidDelivery(f"{name} begins at {begin:.3f} s, not at {wanted:.3f} s as planned.")
        if fragment.start != expected:
            raise InvalidDelivery(f"{name} has a fragment that does not begin where the one before ends.")
        units, expected = units + fragment.samples, fragment.start + fragment.duration
        if units > track.timeline.length(index):
            raise InvalidDelivery(f"{name} has more than {track.timeline.length(index)} frames, which are planned.")
    return units, expected - start
