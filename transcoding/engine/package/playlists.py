"""HLS playlists as text (RFC 8216 and Apple's authoring rules). Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from transcoding.engine.package.contents import StoredRendition, caption_name, segment_name
from transcoding.engine.plan.plan import Plan
from transcoding.engine.plan.segments import TARGET
from transcoding.engine.renditions import COMMENTARY, AudioRendition, Key
from transcoding.engine.timeline import Timeline

_AUDIO_LINE = re.compile(r"^#EXT-X-MEDIA:TYPE=AUDIO,.*\n", re.MULTILINE)
_CAPTIONS_LINE = re.compile(r"^#EXT-X-MEDIA:TYPE=SUBTITLES,.*\n", re.MULTILINE)
_ONLY_SOUND = re.compile(r"^audio(?:-\d+)?/index\.m3u8$", re.MULTILINE)  # the address of a variant without pictures
_SUBTITLES_NAMED = re.compile(r'^(#EXT-X-STREAM-INF:.*),SUBTITLES="subs"$', re.MULTILINE)
_VARIANT = re.compile(r"^#EXT-X-STREAM-INF:.*$", re.MULTILINE)

AUDIO_GROUP, SUBTITLES_GROUP = "audio", "subs"
SPOKEN_DIALOG = "public.accessibility.transcribes-spoken-dialog"
DESCRIBES_VIDEO = "public.accessibility.describes-video"
FIRST_VARIANT = 2_000_000  # bit/s: players start with the variant that stands first; rule 1.32


@dataclass(frozen=True)
class Variant:
    """One variant of a master playlist; bitrates in bit/s with the share of the audio. Codecs None, rate 0: unknown.

    A variant of sound alone has no size; its key is that of the audio rendition that players begin with.
    """

    key: str
    width: int
    height: int
    rate: Fraction
    peak: int
    average: int
    codecs: str | None = None
    iframe_peak: int | None = None


@dataclass(frozen=True)
class CaptionTrack:
    """A caption track in a master playlist; role is a characteristic of HLS, empty for a translation."""

    folder: str
    language: str  # BCP 47
    name: str
    role: str = SPOKEN_DIALOG
    default: bool = False
    forced: bool = False


def media_playlist(seconds: Sequence[Fraction]) -> str:
    """Return the complete playlist of one rendition: segments 00000.m4s … of these durations."""
    lines = [*_head(), "#EXT-X-INDEPENDENT-SEGMENTS", '#EXT-X-MAP:URI="init.mp4"']
    for index, length in enumerate(seconds):
        lines += [f"#EXTINF:{float(length):.6f},", segment_name(index)]
    return _text([*lines, "#EXT-X-ENDLIST"])


def planned_playlist(timeline: Timeline) -> str:
    """Return the playlist of a rendition before anything is encoded."""
    return media_playlist([timeline.seconds(index) for index in range(len(timeline))])


def iframe_playlist(rendition: StoredRendition) -> str:
    """Return the playlist of every IDR picture by its byte range, which begins with its `moof` (rule 6.10)."""
    lines = [*_head(), "#EXT-X-I-FRAMES-ONLY", '#EXT-X-MAP:URI="init.mp4"']
    for segment in rendition.segments:
        offset = 0
        for fragment in segment.fragments:
            lines.append(f"#EXTINF:{fragment.duration / rendition.timescale:.6f},")
            lines += [f"#EXT-X-BYTERANGE:{fragment.first_sample}@{offset}", segment.name]
            offset += fragment.size
    return _text([*lines, "#EXT-X-ENDLIST"])


def master_playlist(variants: Sequence[Variant], audio: Sequence[AudioRendition] = ()) -> str:
    """Return the master playlist. All variants share the audio renditions, of which exactly one is the default."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    lines += _audio_lines(audio)
    group = f',AUDIO="{AUDIO_GROUP}"' * bool(audio)
    for variant in _first_near(variants):
        lines += [_stream_inf(variant) + group, f"{variant.key}/index.m3u8"]
    lines += [_iframe_inf(variant) for variant in variants if variant.iframe_peak is not None]
    return _text(lines)


def with_audio(master: str, audio: Sequence[AudioRendition]) -> str:
    """Return a master playlist with exactly these audio renditions, whatever it had before; the rest stays."""
    first, *rest = _AUDIO_LINE.sub("", master).partition("#EXT-X-INDEPENDENT-SEGMENTS\n")
    lines = "".join(f"{line}\n" for line in _audio_lines(audio))
    if not rest[0]:
        raise ValueError("this is not a master playlist of VLog")
    body = _ONLY_SOUND.sub(f"{default_of(audio).key}/index.m3u8", rest[1]) if audio else rest[1]
    return first + rest[0] + lines + body


def default_of(audio: Sequence[AudioRendition]) -> AudioRendition:
    """Return the rendition that players begin with."""
    return next((rendition for rendition in audio if rendition.default), audio[0])


def _audio_lines(audio: Sequence[AudioRendition]) -> list[str]:
    return [_audio_media(each, is_default=each is default_of(audio)) for each in audio if not each.hidden]


def _audio_media(rendition: AudioRendition, *, is_default: bool) -> str:
    role = f'CHARACTERISTICS="{rendition.role}",' if rendition.role not in ("", COMMENTARY) else ""
    # Players choose by language among those of AUTOSELECT alone; a commentary is not what a viewer expects there.
    chosen = "NO" if rendition.role == COMMENTARY and not is_default else "YES"
    return (
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{AUDIO_GROUP}",NAME="{_audio_name(rendition)}",'
        f'LANGUAGE="{rendition.language}",DEFAULT={"YES" if is_default else "NO"},AUTOSELECT={chosen},{role}'
        f'CHANNELS="2",URI="{rendition.key}/index.m3u8"'
    )


def _audio_name(rendition: AudioRendition) -> str:
    """The name, or one that no other rendition without a name has: names are unique in a group (RFC 8216, 4.3.4.1)."""
    number = Key.parse(rendition.key).number
    return rendition.name or ("Audio" if number == 1 else f"Audio {number}")


def with_captions(master: str, tracks: Sequence[CaptionTrack]) -> str:
    """Return a master playlist with exactly these captions, whatever it had before.

    Captions stay off until a viewer turns them on, except a default track.
    """
    bare = _SUBTITLES_NAMED.sub(r"\1", _CAPTIONS_LINE.sub("", master))
    if not tracks:
        return bare
    named = _VARIANT.sub(lambda variant: f'{variant[0]},SUBTITLES="{SUBTITLES_GROUP}"', bare)
    head, first, rest = named.partition("#EXT-X-STREAM-INF:")
    lines = [_captions_media(track, name) for track, name in zip(tracks, _own_names(tracks), strict=True)]
    return head + "".join(f"{line}\n" for line in lines) + first + rest


def _own_names(tracks: Sequence[CaptionTrack]) -> Iterator[str]:
    """Yield a name for each track that no other has: names are unique in a group (RFC 8216, 4.3.4.1)."""
    used: set[str] = set()
    for track in tracks:
        plain = " ".join(track.name.replace('"', "'").split()) or "Captions"
        name, number = plain, 1
        while name in used:
            number += 1
            name = f"{plain} {number}"
        used.add(name)
        yield name


def _captions_media(track: CaptionTrack, name: str) -> str:
    default, forced = ("YES" if flag else "NO" for flag in (track.default, track.forced))
    role = f'CHARACTERISTICS="{track.role}",' if track.role else ""
    return (
        f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="{SUBTITLES_GROUP}",NAME="{name}",LANGUAGE="{track.language}",'
        f'DEFAULT={default},AUTOSELECT=YES,FORCED={forced},{role}URI="{track.folder}/index.m3u8"'
    )


def captions_playlist(timeline: Timeline) -> str:
    """Return the playlist of one caption track: 00000.vtt … with the durations of the video's segments."""
    lines = _head()
    for index in range(len(timeline)):
        lines += [f"#EXTINF:{float(timeline.seconds(index)):.6f},", caption_name(index)]
    return _text([*lines, "#EXT-X-ENDLIST"])


def provisional_variants(plan: Plan) -> list[Variant]:
    """Return what the master playlist says of the first tier until segments can be measured: the caps of the ladder."""
    audio = max((rendition.bitrate for rendition in plan.audio), default=0)
    if not plan.video:
        return [Variant(default_of(plan.audio).key, 0, 0, plan.rate, audio * 1000, audio * 1000)]
    return [
        Variant(rendition.key, rendition.width, rendition.height, plan.rate, cap, cap)
        for rendition in plan.first_video
        for cap in [(rendition.bitrate + audio) * 1000]
    ]


def measured_variant(plan: Plan, video: StoredRendition, audio: Sequence[StoredRendition]) -> Variant:
    """Return what the master playlist says of a finished video rendition, with the most that any audio adds."""
    if video.size is None:
        raise ValueError(f"{video.key} is not a video rendition")
    return Variant(
        key=video.key,
        width=video.size[0],
        height=video.size[1],
        rate=plan.rate,
        peak=peak_with(video, audio),
        average=average_with(video, audio),
        codecs=codecs_with(video, audio),
        iframe_peak=iframe_peak(video),
    )


def sound_variant(plan: Plan, audio: Sequence[StoredRendition]) -> Variant:
    """Return what the master playlist says of the only variant of sound alone: the most that any track takes."""
    return Variant(
        key=default_of(plan.audio).key,
        width=0,
        height=0,
        rate=plan.rate,
        peak=max(map(peak_of, audio)),
        average=max(rendition.bitrate for rendition in audio),
        codecs=sound_codecs(audio),
    )


def sound_codecs(audio: Sequence[StoredRendition]) -> str:
    return ",".join(dict.fromkeys(rendition.codecs for rendition in audio))


def peak_with(video: StoredRendition, audio: Sequence[StoredRendition]) -> int:
    return peak_of(video) + max(map(peak_of, audio), default=0)


def average_with(video: StoredRendition, audio: Sequence[StoredRendition]) -> int:
    return video.bitrate + max((rendition.bitrate for rendition in audio), default=0)


def codecs_with(video: StoredRendition, audio: Sequence[StoredRendition]) -> str:
    """Return the CODECS value of a variant: all that any of its renditions needs, each once."""
    return ",".join(dict.fromkeys([video.codecs, *(rendition.codecs for rendition in audio)]))


def peak_of(rendition: StoredRendition) -> int:
    return peak_bitrate([segment.size for segment in rendition.segments], rendition.seconds())


def peak_bitrate(sizes: Sequence[int], seconds: Sequence[Fraction]) -> int:
    """Return the highest bit/s of any run of segments that lasts 0.5 to 1.5 target durations (RFC 8216, 4.1).

    Where no run is that long, return the average of all.
    """
    peak, total = 0, sum(seconds, Fraction(0))
    for first in range(len(sizes)):
        size, length = 0, Fraction(0)
        for index in range(first, len(sizes)):
            size, length = size + sizes[index], length + seconds[index]
            if length > Fraction(3, 2) * TARGET:
                break
            if length >= Fraction(TARGET, 2):
                peak = max(peak, -int(-8 * size // length))
    return peak or -int(-8 * sum(sizes) // total)


def _head() -> list[str]:
    return ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{TARGET}", "#EXT-X-PLAYLIST-TYPE:VOD"]


def _first_near(variants: Sequence[Variant]) -> list[Variant]:
    """The variant that a player should start with, then the others, highest first."""
    start = min(variants, key=lambda variant: abs(variant.average - FIRST_VARIANT))
    return [start, *(variant for variant in variants if variant is not start)]


def _stream_inf(variant: Variant) -> str:
    bandwidth = f"#EXT-X-STREAM-INF:BANDWIDTH={variant.peak},AVERAGE-BANDWIDTH={variant.average}"
    codecs = f',CODECS="{variant.codecs}"' if variant.codecs else ""
    rate = f",FRAME-RATE={float(variant.rate):.3f}" if variant.rate else ""
    return bandwidth + codecs + (f",RESOLUTION={variant.width}x{variant.height}{rate}" if variant.width else "")


def _iframe_inf(variant: Variant) -> str:
    codec = (variant.codecs or "").split(",")[0]
    return (
        f'#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={variant.iframe_peak},CODECS="{codec}",'
        f'RESOLUTION={variant.width}x{variant.height},URI="{variant.key}/iframes.m3u8"'
    )


def iframe_peak(video: StoredRendition) -> int:
    """Return the highest bit/s of one I-frame over the time until the next."""
    return max(
        -(-8 * fragment.first_sample * video.timescale // fragment.duration)
        for segment in video.segments
        for fragment in segment.fragments
    )


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
