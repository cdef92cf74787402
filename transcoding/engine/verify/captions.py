"""Captions: segments of WebVTT on the picture's clock."""

import re
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

from transcoding.engine.formats.manifests import Attributes, Manifest
from transcoding.engine.formats.webvtt import MPEG_CLOCK
from transcoding.engine.package.contents import Rendition, caption_name
from transcoding.engine.plan.plan import Plan
from transcoding.engine.verify import lists

HEAD = 200  # bytes of a segment; the time stands in its second line
LANGUAGE = re.compile(r"[A-Za-z0-9-]{2,20}")
TRAP = 900_000  # the start of ffmpeg's MPEG-TS, which several libraries write for everything


def is_ours(each: Attributes) -> bool:
    """Whether a line's address is the one that captions of its language have."""
    language = each.get("LANGUAGE", "")
    return bool(LANGUAGE.fullmatch(language)) and each.get("URI") == f"captions/{language}/index.m3u8"


def declared(manifest: Manifest) -> list[Attributes]:
    """The master playlist's lines for captions."""
    return [each for each in manifest.attributes("EXT-X-MEDIA") if each.get("TYPE") == "SUBTITLES"]


def named(manifest: Manifest) -> Iterator[str]:
    """Whether the master playlist says of captions what players need."""
    found = declared(manifest)
    for each in found:
        if not each.get("LANGUAGE") or not each.get("NAME"):
            yield f"master.m3u8: {each.get('URI')} has no LANGUAGE or no NAME"
        elif not is_ours(each):
            yield f"master.m3u8: {each.get('URI')} is not where captions of the language {each['LANGUAGE']} lie"
        if each.get("AUTOSELECT") != "YES":
            yield f"master.m3u8: {each.get('URI')} does not say AUTOSELECT=YES"
    groups = {each.get("GROUP-ID") for each in found}
    for variant in manifest.variants:
        if {variant.get("SUBTITLES")} != (groups or {None}):
            yield f"master.m3u8: {variant.get('URI')} does not name the captions that there are with SUBTITLES"


def segments(package: Path, name: str, manifest: Manifest, plan: Plan, picture: Rendition | None) -> Iterator[str]:
    """One language: as many segments as the picture, as long as they, each with the time of the first picture."""
    names = [caption_name(index) for index in range(len(plan.timeline))]
    lengths = picture.seconds() if picture else [plan.timeline.seconds(index) for index in range(len(names))]
    yield from lists.head(name, manifest, init=None)
    yield from lists.entries(name, manifest, names, lengths, _slack(lengths, plan))
    folder = name.rpartition("/")[0]
    first = picture.segments[0].start * MPEG_CLOCK // picture.timescale if picture else 0
    for entry in names:
        with suppress(FileNotFoundError):
            yield from _clock(f"{folder}/{entry}", package / folder / entry, first)


def _slack(lengths: list[Fraction], plan: Plan) -> Fraction:
    """How far captions may be from the picture: a frame, or what a source lacked that ended before it should."""
    return plan.timeline.unit + max(Fraction(0), plan.timeline.duration - sum(lengths))


def _clock(name: str, path: Path, first: int) -> Iterator[str]:
    with path.open("rb") as file:
        lines = file.read(HEAD).decode("utf-8", "replace").splitlines()
    if lines[:1] != ["WEBVTT"]:
        yield f"{name} does not begin with WEBVTT"
        return
    said = [line.partition("=")[2] for line in lines if line.startswith("X-TIMESTAMP-MAP=")]
    if not said:
        yield f"{name} has no X-TIMESTAMP-MAP: players may show it at another time"
    elif said != [f"MPEGTS:{first},LOCAL:00:00:00.000"]:
        trap = ": players show it ten seconds late" if f"MPEGTS:{TRAP}," in said[0] else ""
        yield f"{name} has X-TIMESTAMP-MAP={said[0]}, and the picture begins at MPEGTS:{first}{trap}"
