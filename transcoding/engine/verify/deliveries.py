"""Segments from other machines, checked against the plan before they are stored: viewers get them unchanged."""

from fractions import Fraction
from io import BytesIO

from transcoding.engine.codecs.table import CODECS
from transcoding.engine.contract import INIT
from transcoding.engine.formats.boxes import BrokenBoxes
from transcoding.engine.formats.h264 import BrokenStream
from transcoding.engine.package.contents import segment_name
from transcoding.engine.plan.plan import Plan
from transcoding.engine.renditions import Kind
from transcoding.engine.verify.tracks import Track, begin_track, checked_fragments, wrong_length

LARGEST_INIT = 8 * 1024  # bytes; those of VLog's own encoders have about one thousand
ABOVE_CAP = 2  # times the cap: what encoders and copied renditions may have in one segment
BESIDE = 128 * 1024  # bytes: boxes, and audio whose bitrate varies


class InvalidDelivery(ValueError):
    """A delivery is not what the plan says; the message says why, as a sentence."""


def largest(plan: Plan, key: str, index: int) -> int:
    """Return the bytes that one segment (or INIT) of a rendition can have at most."""
    if index == INIT:
        return LARGEST_INIT
    rendition = plan.rendition(key)
    seconds = plan.timeline_of(rendition).seconds(index)
    return int(ABOVE_CAP * rendition.bitrate * 1000 * (seconds + 1) / 8) + BESIDE


def check_init(plan: Plan, key: str, init: bytes) -> None:
    """Check that it is one track of what the rendition is to be, and nothing else. Raises InvalidDelivery."""
    _track(plan, key, init)


def check_segment(plan: Plan, key: str, index: int, init: bytes, data: bytes) -> None:
    """Check that a segment holds all its frames in their places, decodable with this init segment.

    Nothing is decoded: what the pictures show is not checked. Raises InvalidDelivery.
    """
    track, name = _track(plan, key, init), f"{key}/{segment_name(index)}"
    try:
        units, ticks = _measure(track, name, index, data)
    except (BrokenBoxes, BrokenStream) as error:
        raise InvalidDelivery(f"{name} {error}.") from error
    if plan.leaves_out and track.rendition.kind == Kind.VIDEO:
        units = round(Fraction(ticks, track.timescale) / track.timeline.unit)
    planned = track.timeline.length(index)
    may_end_early = track.rendition.kind == Kind.AUDIO and index + 1 == len(track.timeline)
    if units != planned and not may_end_early:
        raise InvalidDelivery(f"{name} has {_frames(units)}, not {planned} as planned.")
    for problem in wrong_length(name, Fraction(ticks, track.timescale), track.timeline, index):
        raise InvalidDelivery(f"{problem}.")


def _track(plan: Plan, key: str, init: bytes) -> Track:
    if plan.rendition(key).codec not in CODECS:
        raise InvalidDelivery(f"{key} is a rendition that the site makes: workers do not deliver it.")
    try:
        track = begin_track(plan.rendition(key), init, plan)
    except (BrokenBoxes, BrokenStream) as error:
        raise InvalidDelivery(f"{key}/init.mp4 {error}.") from error
    if track.problems:
        raise InvalidDelivery(f"{track.problems[0]}.")
    return track


def _measure(track: Track, name: str, index: int, data: bytes) -> tuple[int, int]:
    """Return how many frames it has, and how many ticks they last; each fragment begins where the one before ends."""
    first, units, expected, start = track.timeline.starts[index], 0, 0, 0
    for fragment in checked_fragments(BytesIO(data), track.description):
        if not units:
            start = expected = fragment.start
            # Rounded down: what is copied may begin a part of a frame late, throughout.
            if int(Fraction(start, track.timescale) / track.timeline.unit) != first:
                begin, planned = start / track.timescale, float(first * track.timeline.unit)
                raise InvalidDelivery(f"{name} begins at {begin:.3f} s, not at {planned:.3f} s as planned.")
        if fragment.start != expected:
            raise InvalidDelivery(f"{name} has a fragment that does not begin where the one before ends.")
        units, expected = units + fragment.samples, fragment.start + fragment.duration
        if units > track.timeline.length(index):
            raise InvalidDelivery(f"{name} has more than the {_frames(track.timeline.length(index))} that are planned.")
    return units, expected - start


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count} frames"
