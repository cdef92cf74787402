"""HLS playlists as text (RFC 8216 and Apple's authoring rules). Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from transcoding.engine.package.contents import Rendition, caption_name, segment_name
from transcoding.engine.plan.plan import TARGET, Plan
from transcoding.engine.timeline import Timeline

_CAPTIONS_LINE = re.compile(r"^#EXT-X-MEDIA:TYPE=SUBTITLES,.*\n", re.MULTILINE)
_CAPTIONS_NAMED = re.compile(r'^(#EXT-X-STREAM-INF:.*),SUBTITLES="subs"$', re.MULTILINE)
_VARIANT = re.compile(r"^#EXT-X-STREAM-INF:.*$", re.MULTILINE)

FIRST_VARIANT = 2_000_000  # bit/s: players start with the variant that stands first; rule 1.32


@dataclass(frozen=True)
class Variant:
    """One line of a master playlist; bitrates in bit/s with the sound's share, codecs None while unknown."""

    name: str
    width: int
    height: int
    rate: Fraction
    peak: int
    average: int
    codecs: str | None = None
    iframe_peak: int | None = None


@dataclass(frozen=True)
class CaptionTrack:
    """One language's captions in a master playlist; the language as BCP 47 writes it, the name as its speakers do."""

    language: str
    name: str


def media_playlist(seconds: Sequence[Fraction]) -> str:
    """The playlist of one rendition, complete: segments 00000.m4s … of these durations."""
    lines = [*_head(), "#EXT-X-INDEPENDENT-SEGMENTS", '#EXT-X-MAP:URI="init.mp4"']
    for index, length in enumerate(seconds):
        lines += [f"#EXTINF:{float(length):.6f},", segment_name(index)]
    return _text([*lines, "#EXT-X-ENDLIST"])


def planned_playlist(timeline: Timeline) -> str:
    """The same, before anything is encoded."""
    return media_playlist([timeline.seconds(index) for index in range(len(timeline))])


def iframe_playlist(rendition: Rendition) -> str:
    """Every IDR picture by its byte range, which begins with its `moof` (rule 6.10)."""
    lines = [*_head(), "#EXT-X-I-FRAMES-ONLY", '#EXT-X-MAP:URI="init.mp4"']
    for segment in rendition.segments:
        offset = 0
        for fragment in segment.fragments:
            lines.append(f"#EXTINF:{fragment.duration / rendition.timescale:.6f},")
            lines += [f"#EXT-X-BYTERANGE:{fragment.first_sample}@{offset}", segment.name]
            offset += fragment.size
    return _text([*lines, "#EXT-X-ENDLIST"])


def master_playlist(variants: Sequence[Variant], *, audio_language: str | None) -> str:
    """The master playlist; audio_language None: there is no sound."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    if audio_language is not None:
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Audio",LANGUAGE="{audio_language}",'
            'DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="audio/index.m3u8"'
        )
    for variant in _first_near(variants):
        lines += [_stream_inf(variant, sound=audio_language is not None), f"{variant.name}/index.m3u8"]
    lines += [_iframe_inf(variant) for variant in variants if variant.iframe_peak is not None]
    return _text(lines)


def with_captions(master: str, tracks: Sequence[CaptionTrack]) -> str:
    """A master playlist with exactly these captions, whatever it had before. They stay off until a viewer asks."""
    bare = _CAPTIONS_NAMED.sub(r"\1", _CAPTIONS_LINE.sub("", master))
    if not tracks:
        return bare
    named = _VARIANT.sub(lambda variant: f'{variant[0]},SUBTITLES="subs"', bare)
    head, first, rest = named.partition("#EXT-X-STREAM-INF:")
    return head + "".join(f"{_captions_media(track)}\n" for track in tracks) + first + rest


def _captions_media(track: CaptionTrack) -> str:
    return (
        f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="{track.name}",LANGUAGE="{track.language}",DEFAULT=NO,'
        'AUTOSELECT=YES,FORCED=NO,CHARACTERISTICS="public.accessibility.transcribes-spoken-dialog",'
        f'URI="captions/{track.language}/index.m3u8"'
    )


def captions_playlist(timeline: Timeline) -> str:
    """The playlist of one language's captions: 00000.vtt … as long as the picture's segments."""
    lines = _head()
    for index in range(len(timeline)):
        lines += [f"#EXTINF:{float(timeline.seconds(index)):.6f},", caption_name(index)]
    return _text([*lines, "#EXT-X-ENDLIST"])


def provisional_variants(plan: Plan) -> list[Variant]:
    """What the master playlist says until the segments can be measured: the ladder's caps, of what is made first."""
    sound = plan.audio.bitrate if plan.audio else 0
    return [
        Variant(rung.name, rung.width, rung.height, plan.rate, cap, cap)
        for rung in plan.tier(0)
        for cap in [(rung.bitrate + sound) * 1000]
    ]


def measured_variant(plan: Plan, video: Rendition, audio: Rendition | None) -> Variant:
    """What the master playlist says of a finished rung."""
    if video.size is None:
        raise ValueError(f"{video.name} is no video rendition")
    return Variant(
        name=video.name,
        width=video.size[0],
        height=video.size[1],
        rate=plan.rate,
        peak=peak_of(video) + (peak_of(audio) if audio else 0),
        average=video.bitrate + (audio.bitrate if audio else 0),
        codecs=",".join([video.codec, *([audio.codec] if audio else [])]),
        iframe_peak=iframe_peak(video),
    )


def peak_of(rendition: Rendition) -> int:
    return peak_bitrate([segment.size for segment in rendition.segments], rendition.seconds())


def peak_bitrate(sizes: Sequence[int], seconds: Sequence[Fraction]) -> int:
    """The highest bit/s of any run of segments that lasts 0.5 to 1.5 target durations (RFC 8216, 4.1).

    Where no run is that long, the average of all.
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


def _stream_inf(variant: Variant, *, sound: bool) -> str:
    codecs = f'CODECS="{variant.codecs}",' if variant.codecs else ""
    return (
        f"#EXT-X-STREAM-INF:BANDWIDTH={variant.peak},AVERAGE-BANDWIDTH={variant.average},{codecs}"
        f"RESOLUTION={variant.width}x{variant.height},FRAME-RATE={float(variant.rate):.3f}"
        + (',AUDIO="audio"' if sound else "")
    )


def _iframe_inf(variant: Variant) -> str:
    codec = (variant.codecs or "").split(",")[0]
    return (
        f'#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH={variant.iframe_peak},CODECS="{codec}",'
        f'RESOLUTION={variant.width}x{variant.height},URI="{variant.name}/iframes.m3u8"'
    )


def iframe_peak(video: Rendition) -> int:
    """The highest bit/s of one I-frame over the time until the next."""
    return max(
        -(-8 * fragment.first_sample * video.timescale // fragment.duration)
        for segment in video.segments
        for fragment in segment.fragments
    )


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
