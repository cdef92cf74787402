"""The master playlist, checked against the stored renditions."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import product

from transcoding.engine.formats.manifests import NUMBER, Attributes, Manifest
from transcoding.engine.package.contents import StoredRendition
from transcoding.engine.package.playlists import (
    AUDIO_GROUP,
    FIRST_VARIANT,
    average_with,
    codecs_with,
    default_of,
    iframe_peak,
    peak_of,
    peak_with,
    sound_codecs,
)
from transcoding.engine.plan.media import MAX_RATE
from transcoding.engine.plan.plan import Plan
from transcoding.engine.renditions import AudioRendition

NAME = "master.m3u8"
TOLERANCE = Fraction(1, 10)  # of a bitrate; rules 1.26 and 1.27
RATE_TOLERANCE = Fraction(1, 100)  # frames a second; the playlist has three decimals
HIGHEST_AUDIO = 192_000 * (1 + TOLERANCE)  # bit/s; rule 2.17. There is no lowest: silence takes next to nothing


def head(manifest: Manifest) -> Iterator[str]:
    if manifest.first != "#EXTM3U":
        yield f"{NAME} does not begin with #EXTM3U"
    if manifest.value("EXT-X-VERSION") != "7":
        yield f"{NAME} has no EXT-X-VERSION:7"
    if "EXT-X-INDEPENDENT-SEGMENTS" not in manifest.tags:
        yield f"{NAME} has no EXT-X-INDEPENDENT-SEGMENTS"


def variants(manifest: Manifest, plan: Plan, stored: Mapping[str, StoredRendition]) -> Iterator[str]:
    """Each video rendition once as a variant and once as I-frames, with attributes that are true.

    Of sound alone, one variant is the audio rendition that players begin with.
    """
    if not plan.video:
        yield from _sound_variant(manifest, plan, stored)
        return
    iframes = manifest.attributes("EXT-X-I-FRAME-STREAM-INF")
    known = {f"{rendition.key}/{kind}.m3u8" for rendition in plan.video for kind in ("index", "iframes")}
    for attributes in (*manifest.variants, *iframes):
        if attributes.get("URI") not in known:
            yield f"{NAME} names {attributes.get('URI')}, which is not a rendition of this video"
    for rendition in plan.video:
        yield from _once(rendition.key, "index", manifest.variants, plan, stored)
        yield from _once(rendition.key, "iframes", iframes, plan, stored)


def _sound_variant(manifest: Manifest, plan: Plan, stored: Mapping[str, StoredRendition]) -> Iterator[str]:
    uri = f"{default_of(plan.audio).key}/index.m3u8"
    if [attributes.get("URI") for attributes in manifest.variants] != [uri]:
        yield f"{NAME} does not have {uri} as its only variant"
        return
    label, (found,), sounds = f"{NAME}: {uri}", manifest.variants, list(stored.values())
    if len(sounds) < len(plan.audio):
        return
    if found.get("CODECS") != sound_codecs(sounds):
        yield f"{label} has CODECS {found.get('CODECS')} instead of {sound_codecs(sounds)}"
    yield from _near(label, "BANDWIDTH", found, max(map(peak_of, sounds)))
    yield from _near(label, "AVERAGE-BANDWIDTH", found, max(each.bitrate for each in sounds))
    if found.get("AUDIO") != AUDIO_GROUP:
        yield f"{label} does not name its audio with AUDIO"


def _once(
    key: str, kind: str, lines: Sequence[Attributes], plan: Plan, stored: Mapping[str, StoredRendition]
) -> Iterator[str]:
    uri = f"{key}/{kind}.m3u8"
    found = [attributes for attributes in lines if attributes.get("URI") == uri]
    if len(found) != 1:
        yield f"{NAME} names {uri} {times(len(found))} instead of once"
    elif video := stored.get(key):
        label, audio = f"{NAME}: {uri}", [stored[each.key] for each in plan.audio if each.key in stored]
        if kind == "iframes":
            yield from _described(label, found[0], video, video.codecs)
            yield from _near(label, "BANDWIDTH", found[0], iframe_peak(video))
        elif len(audio) == len(plan.audio):
            yield from _described(label, found[0], video, codecs_with(video, audio))
            yield from _measured(label, found[0], video, audio, plan.rate if plan.leaves_out else video.rate)


def times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _described(label: str, attributes: Attributes, video: StoredRendition, codecs: str) -> Iterator[str]:
    if attributes.get("CODECS") != codecs:
        yield f"{label} has CODECS {attributes.get('CODECS')} instead of {codecs}"
    size = "x".join(map(str, video.size or ()))
    if attributes.get("RESOLUTION") != size:
        yield f"{label} has RESOLUTION {attributes.get('RESOLUTION')} instead of {size}"


def _measured(
    label: str, attributes: Attributes, video: StoredRendition, audio: Sequence[StoredRendition], rate: Fraction
) -> Iterator[str]:
    if abs(_number(attributes, "FRAME-RATE") - rate) > RATE_TOLERANCE:
        yield f"{label} has FRAME-RATE {attributes.get('FRAME-RATE')} instead of {float(rate):.3f}"
    yield from _near(label, "BANDWIDTH", attributes, peak_with(video, audio))
    yield from _near(label, "AVERAGE-BANDWIDTH", attributes, average_with(video, audio))
    if audio and attributes.get("AUDIO") != AUDIO_GROUP:
        yield f"{label} does not name its audio with AUDIO"


def _near(label: str, name: str, attributes: Attributes, measured: int) -> Iterator[str]:
    if abs(_number(attributes, name) - measured) > TOLERANCE * measured:
        yield f"{label} has {name} {attributes.get(name)} instead of {measured}"


def _number(attributes: Attributes, name: str) -> Fraction:
    """Return a number; where it is missing or malformed, one that is near to no other."""
    text = attributes.get(name, "")
    return Fraction(text) if NUMBER.fullmatch(text) else Fraction(-1)


def audio(manifest: Manifest, plan: Plan) -> Iterator[str]:
    """One line for each audio rendition that is not hidden, in one group, with a language and a name of its own.

    One of them is the default.
    """
    media = [each for each in manifest.attributes("EXT-X-MEDIA") if each.get("TYPE") == "AUDIO"]
    for uri in dict.fromkeys(each.get("URI", "") for each in media):
        if uri not in {f"{rendition.key}/index.m3u8" for rendition in plan.audio}:
            yield f"{NAME} names {uri}, which is not an audio rendition of this video"
    for rendition in plan.audio:
        found = [each for each in media if each.get("URI") == f"{rendition.key}/index.m3u8"]
        yield from _audio_line(rendition, found)
    yield from _group(media)


def _audio_line(rendition: AudioRendition, found: Sequence[Attributes]) -> Iterator[str]:
    uri = f"{rendition.key}/index.m3u8"
    if rendition.hidden and found:
        yield f"{NAME} names {uri}, which is hidden"
    elif not rendition.hidden and len(found) != 1:
        yield f"{NAME} names {uri} {times(len(found))} instead of once"
    elif found and (found[0].get("GROUP-ID") != AUDIO_GROUP or not found[0].get("NAME")):
        yield f"{NAME}: {uri} has no GROUP-ID or no NAME"
    elif found and not found[0].get("LANGUAGE"):
        yield f"{NAME}: {uri} has no LANGUAGE"


def _group(media: Sequence[Attributes]) -> Iterator[str]:
    """What players need to choose one of several audio renditions."""
    names = [each.get("NAME") for each in media]
    if len(set(names)) < len(names):
        yield f"{NAME} has two audio renditions with the same NAME"
    defaults = sum(each.get("DEFAULT") == "YES" for each in media)
    if media and defaults != 1:
        yield f"{NAME} has {defaults} default audio renditions instead of 1"


def advice(manifest: Manifest, plan: Plan, stored: Mapping[str, StoredRendition]) -> Iterator[str]:
    if plan.rate > MAX_RATE:
        yield f"the video has {float(plan.rate):.3f} frames a second: {MAX_RATE} are enough"
    yield from _shapes(plan)
    yield from _start(manifest)
    for rendition in plan.audio:
        found = stored.get(rendition.key)
        if found and found.bitrate > HIGHEST_AUDIO:
            yield f"{rendition.key} has {found.bitrate // 1000} kbit/s: more than 192 make no audible difference"


def _shapes(plan: Plan) -> Iterator[str]:
    """The same shape in every video rendition, to the two pixels that even sizes need."""
    for first, each in product(plan.video[:1], plan.video[1:]):
        if abs(each.width - Fraction(first.width * each.height, first.height)) > 2:
            yield f"{each.key} has another shape than {first.key}: the picture jumps when the quality changes"


def _start(manifest: Manifest) -> Iterator[str]:
    """Players begin with the first variant, which should be the one nearest to 2 Mbit/s."""
    distances = [abs(_number(each, "AVERAGE-BANDWIDTH") - FIRST_VARIANT) for each in manifest.variants]
    if distances and min(distances) < distances[0]:
        nearest = manifest.variants[distances.index(min(distances))].get("URI")
        yield f"{NAME} begins with {manifest.variants[0].get('URI')}, but {nearest} is nearer to 2 Mbit/s"
