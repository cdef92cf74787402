"""The init segment and the segments of one rendition, box by box and picture by picture."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from transcoding import h264
from transcoding.boxes import BrokenBoxes, Fragment, read_init, read_segment
from transcoding.h264 import BrokenStream, Description, Sps
from transcoding.ladder import Rung
from transcoding.package import Rendition, StoredSegment, segment_name
from transcoding.plan import GOP, LONGEST, AudioPlan, Plan, Timeline

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
    timescale: int
    description: Description | None
    rendition: Rendition | None
    problems: list[str]


def read_track(package: Path, name: str, plan: Plan) -> Track:
    """Every file of a rendition, read once; what is wrong with any of them stands in problems."""
    rung = next((rung for rung in plan.rungs if rung.name == name), None)
    timeline = plan.timeline if rung or plan.audio is None else plan.audio.timeline
    track = Track(name, timeline, 0, None, None, [])
    try:
        codec, size = _read_init(track, (package / name / "init.mp4").read_bytes(), rung, plan.audio)
    except FileNotFoundError:
        track.problems.append(f"{name}/init.mp4 is missing")
        return track
    except (BrokenBoxes, BrokenStream) as error:
        track.problems.append(f"{name}/init.mp4 {error}")
        return track
    segments = _read_segments(track, package / name)
    if len(segments) == len(timeline):
        track.rendition = Rendition(name, codec, size, track.timescale, tuple(segments))
        track.problems += _places(track.rendition, timeline)
    return track


def _read_init(
    track: Track, init: bytes, rung: Rung | None, audio: AudioPlan | None
) -> tuple[str, tuple[int, int] | None]:
    """The codec and the size, against the plan."""
    found = read_init(init)
    track.timescale = found.timescale
    if found.kind != ("avc1" if rung else "mp4a"):
        raise BrokenBoxes(f"holds a track of type {found.kind!r}")
    if rung:
        track.description = h264.read_description(found.config)
        track.problems += _picture(track.name, track.description.shown, found.size, rung)
        return track.description.shown.codec, found.size
    sound = read_sound(found.config)
    if audio:
        track.problems += _sound(track.name, sound, found.timescale, audio)
    return sound.codec, None


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
    for index in range(len(track.timeline)):
        path = folder / segment_name(index)
        try:
            segments.append(_read_segment(path, track.description))
        except FileNotFoundError:
            track.problems.append(f"{track.name}/{path.name} is missing")
            broken += 1
        except (BrokenBoxes, BrokenStream) as error:
            track.problems.append(f"{track.name}/{path.name} {error}")
            broken += 1
        if broken > MANY:
            track.problems[-1] = f"{track.name} has more segments that are missing or broken"
            break
    return segments


def _read_segment(path: Path, description: Description | None) -> StoredSegment:
    fragments: list[Fragment] = []
    for fragment, sample in read_segment(path):
        if description:
            h264.check_idr(sample, description)
        if not fragment.sync:
            raise BrokenBoxes("has a fragment whose first sample is not marked as one to begin with")
        fragments.append(fragment)
    if not fragments:
        raise BrokenBoxes("holds nothing")
    return StoredSegment(path.name, sum(fragment.size for fragment in fragments), tuple(fragments))


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
        yield from _length(name, Fraction(segment.ticks, rendition.timescale), timeline, index)


def _length(name: str, seconds: Fraction, timeline: Timeline, index: int) -> Iterator[str]:
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
