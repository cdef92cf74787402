"""The master playlist against what its renditions really are."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from transcoding.engine.formats.manifests import NUMBER, Attributes, Manifest
from transcoding.engine.package.contents import Rendition
from transcoding.engine.package.playlists import FIRST_VARIANT, iframe_peak, peak_of
from transcoding.engine.plan.ladder import Rung
from transcoding.engine.plan.media import MAX_RATE
from transcoding.engine.plan.plan import Plan

NAME = "master.m3u8"
TOLERANCE = Fraction(1, 10)  # of a bitrate; rules 1.26 and 1.27
RATE_TOLERANCE = Fraction(1, 100)  # frames a second; the playlist has three decimals
HIGHEST_SOUND = 192_000 * (1 + TOLERANCE)  # bit/s; rule 2.17. There is no lowest: silence takes next to nothing


def head(manifest: Manifest) -> Iterator[str]:
    if manifest.first != "#EXTM3U":
        yield f"{NAME} does not begin with #EXTM3U"
    if manifest.value("EXT-X-VERSION") != "7":
        yield f"{NAME} does not say EXT-X-VERSION:7"
    if "EXT-X-INDEPENDENT-SEGMENTS" not in manifest.tags:
        yield f"{NAME} does not say EXT-X-INDEPENDENT-SEGMENTS"


def variants(manifest: Manifest, plan: Plan, renditions: Mapping[str, Rendition]) -> Iterator[str]:
    """Each rung once as a variant and once as I-frames, with attributes that are true."""
    iframes = manifest.attributes("EXT-X-I-FRAME-STREAM-INF")
    known = {f"{rung.name}/{kind}.m3u8" for rung in plan.rungs for kind in ("index", "iframes")}
    for attributes in (*manifest.variants, *iframes):
        if attributes.get("URI") not in known:
            yield f"{NAME} names {attributes.get('URI')}, which is no rendition of this video"
    for rung in plan.rungs:
        yield from _once(rung, "index", manifest.variants, plan, renditions)
        yield from _once(rung, "iframes", iframes, plan, renditions)


def _once(
    rung: Rung,
    kind: str,
    lines: Sequence[Attributes],
    plan: Plan,
    renditions: Mapping[str, Rendition],
) -> Iterator[str]:
    uri = f"{rung.name}/{kind}.m3u8"
    found = [attributes for attributes in lines if attributes.get("URI") == uri]
    if len(found) != 1:
        yield f"{NAME} names {uri} {len(found)} times, not once"
    elif video := renditions.get(rung.name):
        label, sound = f"{NAME}: {uri}", renditions.get("audio")
        if kind == "iframes":
            yield from _described(label, found[0], video, video.codec)
            yield from _near(label, "BANDWIDTH", found[0], iframe_peak(video))
        elif sound or plan.audio is None:
            yield from _described(label, found[0], video, ",".join([video.codec, *([sound.codec] if sound else [])]))
            yield from _measured(label, found[0], plan, video, sound)


def _described(label: str, attributes: Attributes, video: Rendition, codecs: str) -> Iterator[str]:
    if attributes.get("CODECS") != codecs:
        yield f"{label} has CODECS {attributes.get('CODECS')}, and it is {codecs}"
    size = "x".join(map(str, video.size or ()))
    if attributes.get("RESOLUTION") != size:
        yield f"{label} has RESOLUTION {attributes.get('RESOLUTION')}, and it is {size}"


def _measured(
    label: str, attributes: Attributes, plan: Plan, video: Rendition, sound: Rendition | None
) -> Iterator[str]:
    if abs(_number(attributes, "FRAME-RATE") - video.rate) > RATE_TOLERANCE:
        yield f"{label} has FRAME-RATE {attributes.get('FRAME-RATE')}, and it is {float(video.rate):.3f}"
    yield from _near(label, "BANDWIDTH", attributes, peak_of(video) + (peak_of(sound) if sound else 0))
    yield from _near(label, "AVERAGE-BANDWIDTH", attributes, video.bitrate + (sound.bitrate if sound else 0))
    if plan.audio and attributes.get("AUDIO") != "audio":
        yield f"{label} does not name its sound with AUDIO"


def _near(label: str, name: str, attributes: Attributes, measured: int) -> Iterator[str]:
    if abs(_number(attributes, name) - measured) > TOLERANCE * measured:
        yield f"{label} has {name} {attributes.get(name)}, and it is {measured}"


def _number(attributes: Attributes, name: str) -> Fraction:
    """A number, or one that is near to none where it is not said or is none."""
    text = attributes.get(name, "")
    return Fraction(text) if NUMBER.fullmatch(text) else Fraction(-1)


def sound(manifest: Manifest, plan: Plan) -> Iterator[str]:
    """One line for the sound that there is, with its language."""
    media = [each for each in manifest.attributes("EXT-X-MEDIA") if each.get("TYPE") == "AUDIO"]
    wanted = ["audio/index.m3u8"] if plan.audio else []
    if [each.get("URI") for each in media] != wanted:
        yield f"{NAME} names the sound {len(media)} times, not {len(wanted)}"
        return
    for each in media:
        if each.get("GROUP-ID") != "audio" or not each.get("NAME"):
            yield f"{NAME}: the sound has no GROUP-ID or no NAME"
        if not each.get("LANGUAGE"):
            yield f"{NAME}: the sound has no LANGUAGE"


def advice(manifest: Manifest, plan: Plan, renditions: Mapping[str, Rendition]) -> Iterator[str]:
    if plan.rate > MAX_RATE:
        yield f"the pictures come {float(plan.rate):.3f} times a second: {MAX_RATE} are enough"
    yield from _shapes(plan)
    yield from _start(manifest)
    sound = renditions.get("audio")
    if sound and sound.bitrate > HIGHEST_SOUND:
        yield f"audio has {sound.bitrate // 1000} kbit/s: more than 192 are not heard"


def _shapes(plan: Plan) -> Iterator[str]:
    """The same shape in every rung, to the two pixels that even sizes need."""
    first = plan.rungs[0]
    for rung in plan.rungs[1:]:
        if abs(rung.width - Fraction(first.width * rung.height, first.height)) > 2:
            yield f"{rung.name} has another shape than {first.name}: the picture jumps when the quality changes"


def _start(manifest: Manifest) -> Iterator[str]:
    """Players begin with the first variant, which should be the one nearest to 2 Mbit/s."""
    distances = [abs(_number(each, "AVERAGE-BANDWIDTH") - FIRST_VARIANT) for each in manifest.variants]
    if distances and min(distances) < distances[0]:
        nearest = manifest.variants[distances.index(min(distances))].get("URI")
        yield f"{NAME} begins with {manifest.variants[0].get('URI')}, and {nearest} is nearer to 2 Mbit/s"
