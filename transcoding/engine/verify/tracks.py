"""The init segment and the segments of one rendition, box by box and picture by picture."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import BinaryIO

from transcoding.engine.codecs import table
from transcoding.engine.codecs.codec import Description
from transcoding.engine.formats.boxes import BrokenBoxes, Fragment, read_fragments
from transcoding.engine.formats.h264 import BrokenStream
from transcoding.engine.package import files
from transcoding.engine.package.contents import StoredRendition, StoredSegment, segment_name
from transcoding.engine.plan.plan import Plan
from transcoding.engine.plan.segments import GOP, LONGEST
from transcoding.engine.renditions import Kind, Rendition
from transcoding.engine.timeline import Timeline

MANY = 5  # broken segments of a rendition are named; the others will be like them
LONGEST_GOP = GOP * Fraction(3, 2)  # a GOP of less than half its length joins the one before


@dataclass
class Track:
    """One rendition as it was read; stored is None where it cannot be read to its end."""

    rendition: Rendition
    timeline: Timeline
    timescale: int = 0
    description: Description | None = None
    stored: StoredRendition | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        return self.rendition.key


def read_track(package: Path, rendition: Rendition, plan: Plan) -> Track:
    """Read every file of a rendition once; what is wrong with any of them stands in problems."""
    key, timeline = rendition.key, plan.timeline_of(rendition)
    try:
        track = begin_track(rendition, (package / key / "init.mp4").read_bytes(), plan)
    except FileNotFoundError:
        return Track(rendition, timeline, problems=[f"{key}/init.mp4 is missing"])
    except (BrokenBoxes, BrokenStream) as error:
        return Track(rendition, timeline, problems=[f"{key}/init.mp4 {error}"])
    segments = _read_segments(track, package / key)
    if track.description and len(segments) == len(timeline):
        about = track.description
        track.stored = StoredRendition(key, about.codecs, about.size, track.timescale, tuple(segments))
        track.problems += _places(track.stored, timeline)
    return track


def begin_track(rendition: Rendition, init: bytes, plan: Plan) -> Track:
    """Check a rendition by its init segment alone, against the plan; raises BrokenBoxes or BrokenStream."""
    found, description = table.describe(init, table.CODECS[rendition.codec])
    problems = [f"{rendition.key}/init.mp4 {problem}" for problem in description.problems(rendition)]
    return Track(rendition, plan.timeline_of(rendition), found.timescale, description, problems=problems)


def _read_segments(track: Track, folder: Path) -> list[StoredSegment]:
    segments, broken = [], 0
    paths = [folder / segment_name(index) for index in range(len(track.timeline))]
    for segment in files.over(folder, partial(_read_segment, description=track.description), paths):
        if isinstance(segment, StoredSegment):
            segments.append(segment)
            continue
        track.problems.append(f"{track.key}/{segment}")
        broken += 1
        if broken > MANY:
            track.problems[-1] = f"{track.key} has more missing or broken segments"
            break
    return segments


def _read_segment(path: Path, description: Description | None) -> StoredSegment | str:
    """Return what it holds, or what is wrong with it."""
    try:
        with path.open("rb") as file:
            fragments = tuple(checked_fragments(file, description))
    except FileNotFoundError:
        return f"{path.name} is missing"
    except (BrokenBoxes, BrokenStream) as error:
        return f"{path.name} {error}"
    return StoredSegment(path.name, sum(fragment.size for fragment in fragments), fragments)


def checked_fragments(file: BinaryIO, description: Description | None) -> Iterator[Fragment]:
    """Yield the fragments of a segment, at least one, each of which begins with a sample that can be decoded alone.

    Raises BrokenBoxes or BrokenStream at the first that does not.
    """
    fragment = None
    for fragment, sample in read_fragments(file):
        if description:
            description.check(sample)
        if not fragment.sync:
            raise BrokenBoxes("has a fragment whose first sample is not marked as a sync sample")
        if not fragment.complete:
            raise BrokenBoxes("has a fragment whose samples do not follow one another from its start to its end")
        yield fragment
    if fragment is None:
        raise BrokenBoxes("is empty")


def _places(stored: StoredRendition, timeline: Timeline) -> Iterator[str]:
    """Each fragment begins where the one before ends, each segment has its planned duration, none is too long."""
    expected = stored.segments[0].start
    if Fraction(expected, stored.timescale) >= timeline.unit:
        yield f"{stored.key}/{segment_name(0)} begins at {expected / stored.timescale:.3f} s, not at 0"
    for index, segment in enumerate(stored.segments):
        name = f"{stored.key}/{segment.name}"
        for fragment in segment.fragments:
            if fragment.start != expected:
                begin, end = (ticks / stored.timescale for ticks in (fragment.start, expected))
                yield f"{name} has a fragment that begins at {begin:.3f} s, but the one before ends at {end:.3f} s"
            expected = fragment.start + fragment.duration
        yield from wrong_length(name, Fraction(segment.ticks, stored.timescale), timeline, index)


def wrong_length(name: str, seconds: Fraction, timeline: Timeline, index: int) -> Iterator[str]:
    """Say in sentences what is wrong with the duration of a segment."""
    longer = seconds - timeline.seconds(index)
    is_last = index + 1 == len(timeline)  # a source may end before its container says
    if longer >= timeline.unit or (longer <= -timeline.unit and not is_last):
        yield f"{name} lasts {float(seconds):.3f} s, not {float(timeline.seconds(index)):.3f} s as planned"
    if seconds > LONGEST:
        yield f"{name} lasts {float(seconds):.3f} s; no segment may last longer than {float(LONGEST)} s"


def advice(track: Track, plan: Plan) -> Iterator[str]:
    """Say what a rendition should be; it may be published without."""
    if track.description is None or track.stored is None:
        return
    yield from (f"{track.key} {text}" for text in track.description.advice())
    if track.rendition.kind != Kind.VIDEO:
        return
    scale = track.timescale
    longest = max(fragment.duration for segment in track.stored.segments for fragment in segment.fragments)
    if Fraction(longest, scale) > max(LONGEST_GOP, plan.gop * track.timeline.unit) + track.timeline.unit:
        yield f"{track.key} has IDR pictures up to {longest / scale:.1f} s apart: seeking is coarse"
