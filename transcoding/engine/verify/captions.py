"""Captions: segments of WebVTT on the video's clock."""

import re
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

from transcoding.engine.formats.manifests import Attributes, Manifest
from transcoding.engine.formats.webvtt import MPEG_CLOCK
from transcoding.engine.package.contents import StoredRendition, caption_name
from transcoding.engine.plan.plan import Plan
from transcoding.engine.renditions import CAPTIONS_KEY
from transcoding.engine.verify import lists

HEAD = 200  # bytes of a segment; the time stands in its second line
LANGUAGE = re.compile(r"[A-Za-z0-9-]{2,20}")
TRAP = 900_000  # the start of ffmpeg's MPEG-TS, which several libraries write for everything


def is_in_its_folder(each: Attributes) -> bool:
    """Return whether an address is the folder of a caption track, or that of its language in older packages."""
    language, uri = each.get("LANGUAGE", ""), each.get("URI", "")
    if re.fullmatch(rf"{CAPTIONS_KEY}/index\.m3u8", uri):
        return True
    return bool(LANGUAGE.fullmatch(language)) and uri == f"captions/{language}/index.m3u8"


def declared(manifest: Manifest) -> list[Attributes]:
    """Return the master playlist's lines for captions."""
    return [each for each in manifest.attributes("EXT-X-MEDIA") if each.get("TYPE") == "SUBTITLES"]


def named(manifest: Manifest) -> Iterator[str]:
    """Check that the master playlist says of captions what players need."""
    found = declared(manifest)
    for each in found:
        if not each.get("LANGUAGE") or not each.get("NAME"):
            yield f"master.m3u8: {each.get('URI')} has no LANGUAGE or no NAME"
        elif not is_in_its_folder(each):
            yield f"master.m3u8: {each.get('URI')} is not a folder of captions"
        if each.get("AUTOSELECT") != "YES":
            yield f"master.m3u8: {each.get('URI')} has no AUTOSELECT=YES"
    yield from _group(found)
    groups = {each.get("GROUP-ID") for each in found}
    for variant in manifest.variants:
        if {variant.get("SUBTITLES")} != (groups or {None}):
            yield f"master.m3u8: {variant.get('URI')} does not name the group of captions with SUBTITLES"


def _group(found: list[Attributes]) -> Iterator[str]:
    """What players need to choose one of several tracks."""
    for name, what in (("NAME", "names"), ("URI", "lists")):
        values = [each.get(name) for each in found]
        if len(set(values)) < len(values):
            yield f"master.m3u8 {what} two caption tracks with the same {name}"
    if sum(each.get("DEFAULT") == "YES" for each in found) > 1:
        yield "master.m3u8 has more than one default caption track"


def segments(package: Path, name: str, manifest: Manifest, plan: Plan, video: StoredRendition | None) -> Iterator[str]:
    """Check one track: as many segments as the video, as long as they, each with the time of the first picture."""
    names = [caption_name(index) for index in range(len(plan.timeline))]
    lengths = video.seconds() if video else [plan.timeline.seconds(index) for index in range(len(names))]
    yield from lists.head(name, manifest, init=None)
    yield from lists.entries(name, manifest, names, lengths, _slack(lengths, plan))
    folder = name.rpartition("/")[0]
    first = video.segments[0].start * MPEG_CLOCK // video.timescale if video else 0
    for entry in names:
        with suppress(FileNotFoundError):
            yield from _clock(f"{folder}/{entry}", package / folder / entry, first)


def _slack(lengths: list[Fraction], plan: Plan) -> Fraction:
    """How far captions may be from the video: a frame, or what the source lacks at its end."""
    return plan.timeline.unit + max(Fraction(0), plan.timeline.duration - sum(lengths))


def _clock(name: str, path: Path, first: int) -> Iterator[str]:
    with path.open("rb") as file:
        lines = file.read(HEAD).decode("utf-8", "replace").splitlines()
    if lines[:1] != ["WEBVTT"]:
        yield f"{name} does not begin with WEBVTT"
        return
    clocks = [line.partition("=")[2] for line in lines if line.startswith("X-TIMESTAMP-MAP=")]
    if not clocks:
        yield f"{name} has no X-TIMESTAMP-MAP: players may show it at another time"
    elif clocks != [f"MPEGTS:{first},LOCAL:00:00:00.000"]:
        trap = ": players show it ten seconds late" if f"MPEGTS:{TRAP}," in clocks[0] else ""
        yield f"{name} has X-TIMESTAMP-MAP={clocks[0]}, but the video begins at MPEGTS:{first}{trap}"
