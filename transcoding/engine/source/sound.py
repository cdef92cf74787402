"""The audio tracks of a source: which ones belong to its picture, and what is known of each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

import av.container
from av.audio.stream import AudioStream
from av.stream import Disposition
from av.video.stream import VideoStream

from transcoding.engine import languages
from transcoding.engine.plan.media import AudioTrack, VideoTrack
from transcoding.engine.plan.sound import AAC_FRAME, AUDIO_RATES
from transcoding.engine.renditions import COMMENTARY, DESCRIBES_VIDEO
from transcoding.engine.source.description import describe
from transcoding.engine.source.packets import WITHOUT_INDEX, AudioPackets, Packets
from transcoding.engine.source.warnings import check_length

WITH_CHANNELS_APART = ("mov", "mxf", "gxf")  # of cameras and editors: each channel of PCM is often a track of its own
SEARCHED = 256 << 20  # bytes of a source without an index that are read in search of audio that begins late
FOLLOWING = 4 << 20  # bytes after the first packet of such a track, which decoders may need to know its parameters
STEADY = ("mp3", "flac", "wav", "w64", "aiff")  # of one track, which has one rate and layout, but for frames of MP3
LONGEST_NAME = 100  # characters
DESCRIBES = Disposition.visual_impaired | Disposition.descriptions
_UNPRINTABLE = re.compile(r'[\x00-\x1f\x7f"]+')


def may_begin_late(container: av.container.InputContainer) -> bool:
    """Return whether the beginning of a source says too little of its audio: more of it has to be read."""
    streams = container.streams.audio
    is_unknown = any(not _is_known(stream) for stream in streams)
    # The header of a transport stream names all tracks; a program stream has none.
    return container.format.name in WITHOUT_INDEX and (is_unknown or (not streams and container.format.name == "mpeg"))


def _is_known(stream: AudioStream) -> bool:
    return stream.codec_context is not None and bool(stream.codec_context.sample_rate)


def pick(container: av.container.InputContainer, video: VideoStream | None) -> list[AudioStream]:
    """Return the audio tracks of the picture's program that can be decoded.

    The first one is the default track; one that describes the picture or comments on it only where there is no other.
    """
    program = _program(container, video)
    found = [s for s in container.streams.audio if _is_known(s) and (not program or s.index in program)]
    return sorted(found, key=lambda s: (bool(_role(s)), not s.disposition & Disposition.default, s.index))


def _program(container: av.container.InputContainer, video: VideoStream | None) -> set[int]:
    """Return the streams of the program that shows the picture; none where the container has no programs."""
    if video is None or container.format.name != "mpegts":
        return set()
    for program in describe(container).programs:
        if video.index in program:
            return program
    return set()


def tracks(
    container: av.container.InputContainer, streams: Sequence[AudioStream], packets: Mapping[int, Packets], late: bool
) -> tuple[AudioTrack, ...]:
    """Return the facts of the audio tracks that have packets; late: more of the source was read to find them."""
    heard = [stream for stream in streams if packets[stream.index].times]
    found = [_track(stream, packets[stream.index], container, late) for stream in heard]
    return tuple(_with_pairs(found, container.format.name))


def _track(stream: AudioStream, facts: Packets, container: av.container.InputContainer, late: bool) -> AudioTrack:
    if not isinstance(facts, AudioPackets):
        raise TypeError(f"stream {stream.index} was not read as audio")
    context, time_base = stream.codec_context, stream.time_base or Fraction(1, stream.codec_context.sample_rate)
    start, end = facts.times[0] * time_base, facts.end * time_base
    return AudioTrack(
        index=stream.index,
        codec=context.name,
        profile=context.profile or "",
        channels=context.channels,
        sample_rate=context.sample_rate,
        language=languages.clean(stream.language),
        start=start,
        end=end,
        even=facts.even and time_base * context.sample_rate == 1,
        bitrate=int(8 * facts.size / max(end - start, time_base)),
        name=_name(stream.metadata),
        role=_role(stream),
        search=facts.position + FOLLOWING if late else 0,
        varies=container.format.name in WITHOUT_INDEX,
        steady=container.format.name in STEADY and len(facts.layouts) < 2,
    )


def _role(stream: AudioStream) -> str:
    if stream.disposition & DESCRIBES:
        return DESCRIBES_VIDEO
    return COMMENTARY if stream.disposition & Disposition.comment else ""


def _name(metadata: Mapping[str, str]) -> str:
    """Return the title of a track, without what a playlist cannot contain."""
    return " ".join(_UNPRINTABLE.sub(" ", metadata.get("title", "")).split())[:LONGEST_NAME]


def _with_pairs(found: Sequence[AudioTrack], container: str) -> Iterator[AudioTrack]:
    """Join two tracks of one channel each that follow one another to left and right."""
    rest = list(found)
    while rest:
        left = rest.pop(0)
        right = rest[0] if rest else None
        if right and container.split(",", maxsplit=1)[0] in WITH_CHANNELS_APART and _is_pair(left, right):
            yield _pair(left, rest.pop(0))
        else:
            yield left


def _is_pair(left: AudioTrack, right: AudioTrack) -> bool:
    facts = [(each.codec, each.sample_rate, each.channels, each.language, each.role) for each in (left, right)]
    return facts[0] == facts[1] and left.channels == 1 and left.codec.startswith("pcm_") and right.index > left.index


def _pair(left: AudioTrack, right: AudioTrack) -> AudioTrack:
    facts = {name: getattr(left, name) for name in AudioTrack.__dataclass_fields__}
    ends = {"start": min(left.start, right.start), "end": max(left.end, right.end)}
    return AudioTrack(**{**facts, **ends, "right": right.index, "bitrate": left.bitrate + right.bitrate})


def grid(stream: AudioStream, facts: Packets) -> VideoTrack:
    """Return the track without a size that stands for the pictures of a source of sound alone: the grid of AAC frames.

    Raise MediaError if it is too long.
    """
    time_base = stream.time_base or Fraction(1, stream.codec_context.sample_rate)
    rate = stream.codec_context.sample_rate
    unit = Fraction(AAC_FRAME, rate if rate in AUDIO_RATES else 48_000)
    start = max(facts.times[0], stream.start_time or 0)  # what precedes it is priming of the encoder
    seconds = (facts.end - start) * time_base
    check_length(seconds)
    return VideoTrack(
        index=stream.index,
        codec="",
        profile="",
        pixel_format="",
        width=0,
        height=0,
        is_simple=False,
        rate=1 / unit,
        constant=False,
        frames=max(1, -int(-seconds // unit)),
        start=start,
        time_base=time_base,
        keyframes=(),
        keyframe_times=(),
        idr=False,
        bitrate=0,
        peak=0,
    )
