"""Media, I-frame and caption playlists, checked against the segments that they name."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from transcoding.engine.formats.manifests import Entry, Manifest
from transcoding.engine.package.contents import StoredRendition
from transcoding.engine.plan.segments import LONGEST, TARGET

HEAD = {"EXT-X-VERSION": "7", "EXT-X-TARGETDURATION": str(TARGET), "EXT-X-PLAYLIST-TYPE": "VOD"}


def head(name: str, manifest: Manifest, init: str | None = "init.mp4") -> Iterator[str]:
    """Check the lines that every media playlist has; init None: it needs no init segment."""
    if manifest.first != "#EXTM3U":
        yield f"{name} does not begin with #EXTM3U"
    for tag, value in HEAD.items():
        if manifest.value(tag) != value:
            yield f"{name} has no {tag}:{value}"
    if manifest.last != "#EXT-X-ENDLIST":
        yield f"{name} does not end with EXT-X-ENDLIST"
    if init and [each.get("URI") for each in manifest.attributes("EXT-X-MAP")] != [init]:
        yield f"{name} does not name its init segment with EXT-X-MAP"


def entries(
    name: str, manifest: Manifest, names: Sequence[str], truth: Sequence[Fraction], unit: Fraction
) -> Iterator[str]:
    """Check for exactly these segments in order, and EXTINF within a unit (seconds) of the truth over any run."""
    if [entry.uri for entry in manifest.entries] != list(names):
        yield f"{name} names {_first_difference(manifest.entries, names)}"
        return
    ahead = lowest = highest = Fraction(0)
    for entry, seconds in zip(manifest.entries, truth, strict=True):
        stated = entry.seconds
        if stated is None:
            yield f"{name} has no duration for {entry.uri}"
            return
        if stated > LONGEST:
            yield f"{name} says that {entry.uri} lasts {float(stated):.3f} s, longer than the target allows"
        if abs(stated - seconds) > unit:
            yield f"{name} says that {entry.uri} lasts {float(stated):.3f} s, but it lasts {float(seconds):.3f} s"
            return
        ahead += stated - seconds
        lowest, highest = min(lowest, ahead), max(highest, ahead)
        if highest - lowest > unit:
            yield f"{name} is more than a frame wrong by {entry.uri}: its durations do not add up"
            return


def _first_difference(found: Sequence[Entry], names: Sequence[str]) -> str:
    for entry, name in zip(found, names, strict=False):
        if entry.uri != name:
            return f"{entry.uri} where {name} belongs"
    if len(found) > len(names):
        return f"{found[len(names)].uri}, which is one too many"
    return f"{len(found)} of {len(names)} segments: {names[len(found)]} is missing"


def pictures(name: str, manifest: Manifest, rendition: StoredRendition, unit: Fraction) -> Iterator[str]:
    """Check every IDR picture: a byte range of exactly its `moof` and its sample, and the time until the next."""
    if "EXT-X-I-FRAMES-ONLY" not in manifest.tags:
        yield f"{name} has no EXT-X-I-FRAMES-ONLY"
    truth = [
        Entry(segment.name, Fraction(fragment.duration, rendition.timescale), (fragment.first_sample, offset))
        for segment in rendition.segments
        for fragment, offset in zip(segment.fragments, _offsets([f.size for f in segment.fragments]), strict=True)
    ]
    if len(truth) != len(manifest.entries):
        yield f"{name} names {len(manifest.entries)} of {len(truth)} pictures"
        return
    for number, (stated, true) in enumerate(zip(manifest.entries, truth, strict=True), 1):
        if (stated.uri, stated.byte_range) != (true.uri, true.byte_range):
            yield f"{name}: picture {number} is {_range(true)}, but the playlist says {_range(stated)}"
            return
    spans = [entry.seconds or Fraction(0) for entry in truth]
    yield from entries(name, manifest, [entry.uri for entry in truth], spans, unit)


def _offsets(sizes: Sequence[int]) -> list[int]:
    return [sum(sizes[:index]) for index in range(len(sizes))]


def _range(entry: Entry) -> str:
    if entry.byte_range is None:
        return f"{entry.uri} without a byte range"
    length, offset = entry.byte_range
    return f"bytes {offset} to {offset + length} of {entry.uri}"
