"""Whether a stored package is what its plan says: the rules that a published video keeps.

docs/verification.md lists them. Every segment is read once, by its headers; nothing is decoded.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from transcoding.engine.formats.manifests import Manifest, read_manifest
from transcoding.engine.package.contents import StoredRendition
from transcoding.engine.package.files import UNFINISHED, sizes
from transcoding.engine.plan.plan import Plan
from transcoding.engine.plan.segments import TARGET
from transcoding.engine.renditions import Kind
from transcoding.engine.verify import captions, lists, master, storyboard
from transcoding.engine.verify.tracks import Track, advice, read_track

LONGEST_DIFFERENCE = Fraction(1, 2)  # seconds between the ends of audio and video
# Files that no playlist names.
BESIDE = re.compile(r"poster(?:-\d)?\.jpg|storyboard(?:-\d{3}\.jpg|\.vtt)|chapters\.vtt")


@dataclass
class Report:
    """What a package breaks (problems: it may not be published) and what it could do better (warnings), in sentences.

    renditions holds every audio and video rendition that can be read to its end, in the order of the plan.
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    renditions: list[StoredRendition] = field(default_factory=list)


def verify(package: Path, plan: Plan) -> list[str]:
    """Return what is wrong with the package, a sentence each; empty where it may be published."""
    return inspect(package, plan).problems


def inspect(package: Path, plan: Plan) -> Report:
    """Check a package against every rule."""
    files = sorted(sizes(package))
    tracks = [read_track(package, rendition, plan) for rendition in (*plan.video, *plan.audio)]
    stored = {track.key: track.stored for track in tracks if track.stored}
    manifests = _manifests(package, plan)
    problems = [
        *(problem for track in tracks for problem in track.problems),
        *_agreement(plan, stored),
        *_length(plan, stored),
        *_playlists(manifests, tracks),
        *_master(package, manifests, plan, stored),
        *_named(files, manifests, {f"{audio.key}/index.m3u8" for audio in plan.audio if audio.hidden}),
        *storyboard.whole(package),
    ]
    warnings = [text for track in tracks for text in advice(track, plan)]
    if top := manifests.get(master.NAME):
        warnings += master.advice(top, plan, stored)
    warnings += [f"{name} was left by a worker that was stopped" for name in files if UNFINISHED in name]
    return Report(list(dict.fromkeys(problems)), warnings, list(stored.values()))


def _manifests(package: Path, plan: Plan) -> dict[str, Manifest]:
    """The playlists by their names in the package; those of captions are the ones that the master names."""
    folders = [rendition.key for rendition in plan.renditions]
    names = [master.NAME, *(f"{folder}/{kind}.m3u8" for folder in folders for kind in ("index", "iframes"))]
    found = {name: manifest for name in names if (manifest := _read(package / name))}
    if master.NAME in found:
        for each in captions.declared(found[master.NAME]):
            if captions.is_in_its_folder(each) and (manifest := _read(package / each["URI"])):
                found[each["URI"]] = manifest
    return found


def _read(path: Path) -> Manifest | None:
    return read_manifest(path.read_bytes().decode("utf-8", "replace")) if path.is_file() else None


def _agreement(plan: Plan, stored: Mapping[str, StoredRendition]) -> Iterator[str]:
    """The same boundaries in every video rendition, and audio as long as the video."""
    video = [stored[rendition.key] for rendition in plan.video if rendition.key in stored]
    for each in video[1:]:
        if each.seconds() != video[0].seconds():
            yield f"{each.key} and {video[0].key} do not have the same segments"
    for audio in (stored[rendition.key] for rendition in plan.audio if rendition.key in stored):
        if video and abs(audio.duration - video[0].duration) > LONGEST_DIFFERENCE:
            yield f"{audio.key} lasts {float(audio.duration):.3f} s, the video {float(video[0].duration):.3f} s"


def _length(plan: Plan, stored: Mapping[str, StoredRendition]) -> Iterator[str]:
    """The video is as long as its source, to a segment, or a message for the editor says why it is not."""
    for each in (stored[rendition.key] for rendition in plan.video if rendition.key in stored):
        if plan.length and not plan.warnings and abs(float(each.duration) - plan.length) > TARGET:
            yield f"{each.key} lasts {float(each.duration):.3f} s, the source {plan.length:.3f} s"


def _playlists(manifests: Mapping[str, Manifest], tracks: Iterable[Track]) -> Iterator[str]:
    for track in tracks:
        for kind in ("index", "iframes") if track.rendition.kind == Kind.VIDEO else ("index",):
            name = f"{track.key}/{kind}.m3u8"
            manifest, stored = manifests.get(name), track.stored
            if manifest is None:
                yield f"{name} is missing"
                continue
            yield from lists.head(name, manifest)
            if stored and kind == "iframes":
                yield from lists.pictures(name, manifest, stored, track.timeline.unit)
            elif stored:
                segments = [segment.name for segment in stored.segments]
                yield from lists.entries(name, manifest, segments, stored.seconds(), track.timeline.unit)


def _master(
    package: Path, manifests: Mapping[str, Manifest], plan: Plan, stored: Mapping[str, StoredRendition]
) -> Iterator[str]:
    top = manifests.get(master.NAME)
    if top is None:
        yield f"{master.NAME} is missing"
        return
    yield from master.head(top)
    yield from master.variants(top, plan, stored)
    yield from master.audio(top, plan)
    yield from captions.named(top)
    video = next((stored[rendition.key] for rendition in plan.video if rendition.key in stored), None)
    for each in captions.declared(top):
        name = each.get("URI", "")
        if name in manifests:
            yield from captions.segments(package, name, manifests[name], plan, video)


def _named(files: Iterable[str], manifests: Mapping[str, Manifest], hidden: Collection[str]) -> Iterator[str]:
    """Every file that a playlist names exists, and every file is named by a playlist, but for hidden playlists."""
    named = {*hidden, master.NAME} if master.NAME in manifests else set()
    for name, manifest in manifests.items():
        folder = name.rpartition("/")[0]
        named |= {f"{folder}/{address}" if folder else address for address in manifest.addresses()}
    # A language's captions in one file, to be read and downloaded, beside its segments.
    beside = {f"{name.removesuffix('/index.m3u8')}.vtt" for name in named if name.startswith("captions")}
    stored = set(files)
    yield from (f"{name} is missing" for name in sorted(named - stored))
    unread = {name.rpartition("/")[0] for name in named - stored if name.endswith("/index.m3u8")}
    for name in sorted(stored - named - beside):
        is_known = BESIDE.fullmatch(name) or UNFINISHED in name or name.rpartition("/")[0] in unread
        if not is_known:
            yield f"{name} is in no playlist"
