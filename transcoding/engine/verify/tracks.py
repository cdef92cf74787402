"""The init segment and the segments of one rendition, box by box and picture by picture."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import BinaryIO

from transcoding.engine.formats import h264
from transcoding.engine.formats.boxes import BrokenBoxes, Fragment, read_fragments, read_init
from transcoding.engine.formats.h264 import BrokenStream, Description, Sps
from transcoding.engine.package import files
from transcoding.engine.package.contents import Rendition, StoredSegment, segment_name
from transcoding.engine.plan.ladder import Rung
from transcoding.engine.plan.plan import GOP, LONGEST, AudioPlan, Plan
from transcoding.engine.timeline import Timeline

MANY = 5  # broken segments of a rendition are named; the others will be like them
STEREO = 2
AAC_LC = 2
SAMPLE_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
LONGEST_GOP = GOP * Fraction(3, 2)  # a GOP of less than half its length joins the one before


@dataclass(frozen=True)
class Sound:
    """What an AudioSpecificConfig says (ISO/IEC 14496-3, 1.6): the kind of AAC, samples a second, channels."""

    kind: int
    rate: int
    channels: int

    @property
    def codec(self) -> str:
        return f"mp4a.40.{self.kind}"


@dataclass
class Track:
    """One rendition as it was found; rendition is None where it cannot be read to its end."""

    name: str
    timeline: Timeline
    timescale: int = 0
    codec: str = ""
    size: tuple[int, int] | None = None
    description: Description | None = None
    rendition: Rendition | None = None
    problems: list[str] = field(default_factory=list)


def read_track(package: Path, name: str, plan: Plan) -> Track:
    """Every file of a rendition, read once; what is wrong with any of them stands in problems."""
    try:
        track = begin_track(name, (package / name / "init.mp4").read_bytes(), plan)
    except FileNotFoundError:
        return Track(name, _timeline(name, plan), problems=[f"{name}/init.mp4 is missing"])
    except (BrokenBoxes, BrokenStream) as error:
        return Track(name, _timeline(name, plan), problems=[f"{name}/init.mp4 {error}"])
    segments = _read_segments(track, package / name)
    if len(segments) == len(track.timeline):
        track.rendition = Rendition(name, track.codec, track.size, track.timescale, tuple(segments))
        track.problems += _places(track.rendition, track.timeline)
    return track


def begin_track(name: str, init: bytes, plan: Plan) -> Track:
    """A rendition by its init segment alone, against the plan; raises BrokenBoxes or BrokenStream."""
    track, found = Track(name, _timeline(name, plan)), read_init(init)
    track.timescale, rung = found.timescale, _rung(name, plan)
    if found.kind != ("avc1" if rung else "mp4a"):
        raise BrokenBoxes(f"holds a track of type {found.kind!r}")
    if rung:
        track.description = h264.read_description(found.config)
        track.codec, track.size = track.description.shown.codec, found.size
        track.problems += _picture(name, track.description.shown, found.size, rung)
        return track
    sound = read_sound(found.config)
    track.codec = sound.codec
    if plan.audio:
        track.problems += _sound(name, sound, found.timescale, plan.audio)
    return track


def _rung(name: str, plan: Plan) -> Rung | None:
    return next((rung for rung in plan.rungs if rung.name == name), None)


def _timeline(name: str, plan: Plan) -> Timeline:
    return plan.timeline if _rung(name, plan) or plan.audio is None else plan.audio.timeline


def read_sound(config: bytes) -> Sound:
    bits = h264.Bits(config)
    kind, index = bits.read(5), bits.read(4)
    rate = bits.read(24) if index == 15 else (*SAMPLE_RATES, 0, 0)[index]
    return Sound(kind, rate, bits.read(4))


def _picture(name: str, sps: Sps, size: tuple[int, int], rung: Rung) -> Iterator[str]:
    wanted = (rung.width, rung.height)
    if sps.size != wanted or size != wanted:
        shown = sps.size if sps.size != wanted else size
        yield f"{name}/init.mp4 is for pictures of {shown[0]}x{shown[1]}, not of {rung.width}x{rung.height}"
    if (sps.chroma, sps.bits) != (1, 8):
        yield f"{name}/init.mp4 is for pictures that are not 4:2:0 of 8 bits, which browsers do not show"


def _sound(name: str, sound: Sound, timescale: int, audio: AudioPlan) -> Iterator[str]:
    if (sound.kind, sound.channels) != (AAC_LC, STEREO):
        yield f"{name}/init.mp4 is for {sound.codec} of {sound.channels} channels, not for AAC-LC of 2"
    if not sound.rate == timescale == audio.sample_rate:
        yield f"{name}/init.mp4 is for {sound.rate} samples a second, not for {audio.sample_rate}"


def _read_segments(track: Track, folder: Path) -> list[StoredSegment]:
    segments, broken = [], 0
    paths = [folder / segment_name(index) for index in range(len(track.timeline))]
    for segment in files.over(folder, partial(_read_segment, description=track.description), paths):
        if isinstance(segment, StoredSegment):
            segments.append(segment)
            continue
        track.problems.append(f"{track.name}/{segment}")
        broken += 1
        if broken > MANY:
            track.problems[-1] = f"{track.name} has more segments that are missing or broken"
            break
    return segments


def _read_segment(path: Path, description: Description | None) -> StoredSegment | str:
    """What it holds, or what is wrong with it."""
    try:
        with path.open("rb") as file:
            fragments = tuple(sound_fragments(file, description))
    except FileNotFoundError:
        return f"{path.name} is missing"
    except (BrokenBoxes, BrokenStream) as error:
        return f"{path.name} {error}"
    return StoredSegment(path.name, sum(fragment.size for fragment in fragments), fragments)


def sound_fragments(file: BinaryIO, description: Description | None) -> Iterator[Fragment]:
    """The fragments of a segment, at least one, each of which begins with a picture that can be decoded alone.

    Raises BrokenBoxes or BrokenStream at the first that does not.
    """
    fragment = None
    for fragment, sample in read_fragments(file):
        if description:
            h264.check_idr(sample, description)
        if not fragment.sync:
            raise BrokenBoxes("has a fragment whose first sample is not marked as one to begin with")
        if not fragment.complete:
            raise BrokenBoxes(
                "has a fragment whose samples are not shown one after the other from its start to its end"
            )
        yield fragment
    if fragment is None:
        raise BrokenBoxes("holds nothing")


def _places(rendition: Rendition, timeline: Timeline) -> Iterator[str]:
    """Each fragment begins where the one before ends, each segment lasts as long as planned, none too long."""
    expected = rendition.segments[0].start
    if Fraction(expected, rendition.timescale) >= timeline.unit:
        yield f"{rendition.name}/{segment_name(0)} begins at {expected / rendition.timescale:.3f} s, not at 0"
    for index, segment in enumerate(rendition.segments):
        name = f"{rendition.name}/{segment.name}"
        for fragment in segment.fragments:
            if fragment.start != expected:
                begin, end = (ticks / rendition.timescale for ticks in (fragment.start, expected))
                yield f"{name} has a fragment that begins at {begin:.3f} s, and the one before ends at {end:.3f} s"
            expected = fragment.start + fragment.duration
        yield from wrong_length(name, Fraction(segment.ticks, rendition.timescale), timeline, index)


def wrong_length(name: str, seconds: Fraction, timeline: Timeline, index: int) -> Iterator[str]:
    """What is wrong with how long a segment lasts, in sentences."""
    longer = seconds - timeline.seconds(index)
    is_last = index + 1 == len(timeline)  # a source may end before its container said it would
    if longer >= timeline.unit or (longer <= -timeline.unit and not is_last):
        yield f"{name} lasts {float(seconds):.3f} s, not {float(timeline.seconds(index)):.3f} s as planned"
    if seconds > LONGEST:
        yield f"{name} lasts {float(seconds):.3f} s, and no segment may last longer than {float(LONGEST)} s"


def advice(track: Track) -> Iterator[str]:
    """What a rung should be, and may be published without."""
    if track.description is None or track.rendition is None:
        return
    sps, scale = track.description.shown, track.timescale
    if sps.profile != h264.HIGH:
        yield f"{track.name} is not of High profile: it takes more bits than it would have to"
    if not sps.progressive:
        yield f"{track.name} is interlaced: players may show combs"
    if not sps.square:
        yield f"{track.name} has pixels that are not square: some players show it in the wrong shape"
    longest = max(fragment.duration for segment in track.rendition.segments for fragment in segment.fragments)
    if Fraction(longest, scale) > LONGEST_GOP + track.timeline.unit:
        yield f"{track.name} has IDR pictures up to {longest / scale:.1f} s apart: seeking is coarse"
