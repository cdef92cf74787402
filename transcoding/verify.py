"""Whether a package on disk is what its plan promised: the rules that a published video keeps."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from transcoding.boxes import BrokenBoxes
from transcoding.package import Rendition, read_rendition
from transcoding.plan import Plan, Timeline

_CAPTIONS = re.compile(r'^#EXT-X-MEDIA:TYPE=SUBTITLES,.*URI="([^"]+)"', re.MULTILINE)
LONGEST_DIFFERENCE = Fraction(1, 2)  # seconds between the ends of sound and picture


def verify(package: Path, plan: Plan) -> list[str]:
    """What is wrong with the package, a sentence each; empty where it may be published."""
    problems = [f"{name} is missing" for name in _playlists(plan) if not (package / name).is_file()]
    renditions = []
    for name, timeline in _timelines(plan):
        try:
            rendition = read_rendition(package / name)
        except (BrokenBoxes, FileNotFoundError) as error:
            problems.append(f"{name} cannot be read: {error}")
            continue
        renditions.append(rendition)
        problems += _segments(rendition, timeline)
    return [*problems, *_agreement(renditions), *_captions(package, plan)]


def _playlists(plan: Plan) -> Iterator[str]:
    yield "master.m3u8"
    for rung in plan.rungs:
        yield from (f"{rung.name}/index.m3u8", f"{rung.name}/iframes.m3u8")
    if plan.audio:
        yield "audio/index.m3u8"


def _timelines(plan: Plan) -> Iterator[tuple[str, Timeline]]:
    for rung in plan.rungs:
        yield rung.name, plan.timeline
    if plan.audio:
        yield "audio", plan.audio.timeline


def _segments(rendition: Rendition, timeline: Timeline) -> Iterator[str]:
    """Every segment there, each beginning where the one before ends, as long as the plan says."""
    if len(rendition.segments) != len(timeline):
        yield f"{rendition.name} has {len(rendition.segments)} of {len(timeline)} segments"
        return
    expected = rendition.segments[0].start
    if Fraction(expected, rendition.timescale) >= timeline.unit:
        yield f"{rendition.name} begins at {expected / rendition.timescale:.3f} s"
    for index, segment in enumerate(rendition.segments):
        for fragment in segment.fragments:
            if fragment.start != expected:
                yield f"{rendition.name}/{segment.name}: a fragment begins at {fragment.start}, not at {expected}"
            expected = fragment.start + fragment.duration
        last = index + 1 == len(timeline)
        if not last and abs(Fraction(segment.ticks, rendition.timescale) - timeline.seconds(index)) >= timeline.unit:
            yield f"{rendition.name}/{segment.name} is not as long as planned"


def _agreement(renditions: list[Rendition]) -> Iterator[str]:
    """The same boundaries in every rung, and sound as long as the picture."""
    rungs = [rendition for rendition in renditions if rendition.size]
    for rung in rungs[1:]:
        if rung.seconds() != rungs[0].seconds():
            yield f"{rung.name} and {rungs[0].name} do not have the same segments"
    for sound in (rendition for rendition in renditions if not rendition.size):
        if rungs and abs(sound.duration - rungs[0].duration) > LONGEST_DIFFERENCE:
            yield f"sound lasts {float(sound.duration):.3f} s, the picture {float(rungs[0].duration):.3f} s"


def _captions(package: Path, plan: Plan) -> Iterator[str]:
    """Each language of the master playlist as long as the picture, and every segment on its clock."""
    master = package / "master.m3u8"
    for name in _CAPTIONS.findall(master.read_text()) if master.is_file() else ():
        folder = (package / name).parent
        if not (package / name).is_file():
            yield f"{name} is missing"
            continue
        segments = sorted(folder.glob("*.vtt"))
        for segment in segments:
            if "\nX-TIMESTAMP-MAP=MPEGTS:" not in segment.read_text():
                yield f"captions/{folder.name}/{segment.name} has no time of the picture"
        if len(segments) != len(plan.timeline):
            yield f"captions/{folder.name} has {len(segments)} of {len(plan.timeline)} segments"
