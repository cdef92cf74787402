"""Whether a package on disk is what its plan promised: the rules that a published video keeps.

docs/verification.md lists them. Every segment is read once, by its headers; nothing is decoded.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from transcoding.engine.formats.manifests import Manifest, read_manifest
from transcoding.engine.package.contents import Rendition
from transcoding.engine.package.files import UNFINISHED, sizes
from transcoding.engine.plan.plan import Plan
from transcoding.engine.verify import captions, lists, master, storyboard
from transcoding.engine.verify.tracks import Track, advice, read_track

LONGEST_DIFFERENCE = Fraction(1, 2)  # seconds between the ends of sound and picture
BESIDE = re.compile(r"poster(?:-\d)?\.jpg|storyboard(?:-\d{3}\.jpg|\.vtt)")  # files that no playlist names


@dataclass
class Report:
    """What a package breaks (problems: it may not be published) and what it could do better (warnings), in sentences.

    renditions holds every rendition that can be read to its end, the rungs in the order of the plan.
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    renditions: list[Rendition] = field(default_factory=list)


def verify(package: Path, plan: Plan) -> list[str]:
    """What is wrong with the package, a sentence each; empty where it may be published."""
    return inspect(package, plan).problems


def inspect(package: Path, plan: Plan) -> Report:
    """Hold a package against every rule."""
    there = sorted(sizes(package))
    names = [rung.name for rung in plan.rungs] + ["audio"] * bool(plan.audio)
    tracks = [read_track(package, name, plan) for name in names]
    found = {track.name: track.rendition for track in tracks if track.rendition}
    manifests = _manifests(package, names)
    problems = [
        *(problem for track in tracks for problem in track.problems),
        *_agreement(list(found.values())),
        *_lists(manifests, tracks),
        *_master(package, manifests, plan, found),
        *_named(there, manifests),
        *storyboard.whole(package),
    ]
    warnings = [text for track in tracks for text in advice(track)]
    if top := manifests.get(master.NAME):
        warnings += master.advice(top, plan, found)
    warnings += [f"{name} was left by a worker that was stopped" for name in there if UNFINISHED in name]
    return Report(list(dict.fromkeys(problems)), warnings, list(found.values()))


def _manifests(package: Path, names: Iterable[str]) -> dict[str, Manifest]:
    """The playlists that are there, by their names in the package; those of captions as the master names them."""
    wanted = [master.NAME, *(f"{name}/{kind}.m3u8" for name in names for kind in ("index", "iframes"))]
    found = {name: manifest for name in wanted if (manifest := _read(package / name))}
    if master.NAME in found:
        for each in captions.declared(found[master.NAME]):
            if captions.is_ours(each) and (manifest := _read(package / each["URI"])):
                found[each["URI"]] = manifest
    return found


def _read(path: Path) -> Manifest | None:
    return read_manifest(path.read_bytes().decode("utf-8", "replace")) if path.is_file() else None


def _agreement(renditions: list[Rendition]) -> Iterator[str]:
    """The same boundaries in every rung, and sound as long as the picture."""
    rungs = [rendition for rendition in renditions if rendition.size]
    for rung in rungs[1:]:
        if rung.seconds() != rungs[0].seconds():
            yield f"{rung.name} and {rungs[0].name} do not have the same segments"
    for sound in (rendition for rendition in renditions if not rendition.size):
        if rungs and abs(sound.duration - rungs[0].duration) > LONGEST_DIFFERENCE:
            yield f"audio lasts {float(sound.duration):.3f} s, the picture {float(rungs[0].duration):.3f} s"


def _lists(manifests: dict[str, Manifest], tracks: list[Track]) -> Iterator[str]:
    for track in tracks:
        for kind in ("index", "iframes") if track.name != "audio" else ("index",):
            name = f"{track.name}/{kind}.m3u8"
            manifest, rendition = manifests.get(name), track.rendition
            if manifest is None:
                yield f"{name} is missing"
                continue
            yield from lists.head(name, manifest)
            if rendition and kind == "iframes":
                yield from lists.pictures(name, manifest, rendition, track.timeline.unit)
            elif rendition:
                segments = [segment.name for segment in rendition.segments]
                yield from lists.entries(name, manifest, segments, rendition.seconds(), track.timeline.unit)


def _master(package: Path, manifests: dict[str, Manifest], plan: Plan, found: dict[str, Rendition]) -> Iterator[str]:
    top = manifests.get(master.NAME)
    if top is None:
        yield f"{master.NAME} is missing"
        return
    yield from master.head(top)
    yield from master.variants(top, plan, found)
    yield from master.sound(top, plan)
    yield from captions.named(top)
    picture = next((found[rung.name] for rung in plan.rungs if rung.name in found), None)
    for each in captions.declared(top):
        name = each.get("URI", "")
        if name in manifests:
            yield from captions.segments(package, name, manifests[name], plan, picture)


def _named(found: list[str], manifests: dict[str, Manifest]) -> Iterator[str]:
    """Every file that a playlist names is there, and every file there is named by one."""
    named = {master.NAME} if master.NAME in manifests else set()
    for name, manifest in manifests.items():
        folder = name.rpartition("/")[0]
        named |= {f"{folder}/{address}" if folder else address for address in manifest.addresses()}
    # A language's captions in one file, to be read and downloaded, beside its segments.
    beside = {f"{name.removesuffix('/index.m3u8')}.vtt" for name in named if name.startswith("captions/")}
    there = set(found)
    yield from (f"{name} is missing" for name in sorted(named - there))
    unread = {name.rpartition("/")[0] for name in named - there if name.endswith("/index.m3u8")}
    for name in sorted(there - named - beside):
        is_known = BESIDE.fullmatch(name) or UNFINISHED in name or name.rpartition("/")[0] in unread
        if not is_known:
            yield f"{name} is in no playlist"
