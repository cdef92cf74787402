"""The facts of a source, from which its plan is made, and the accepted containers. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from fractions import Fraction
from typing import Any

from transcoding.engine.plan.inventory import ChapterMark, SourceStream
from transcoding.engine.plan.ladder import LADDER, Ladder, renditions_for
from transcoding.engine.renditions import VideoRendition

# Demuxers that a source may use. Playlists, `concat` and devices are excluded, because they open other files.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2",
    "matroska,webm",
    *("avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf", "ogg", "mxf", "dv", "gif", "ivf", "h264", "hevc", "obu"),
    *("nut", "rm", "wtv", "yuv4mpegpipe", "m4v", "gxf", "live_flv"),
    # Of sound alone.
    *("mp3", "flac", "wav", "w64", "aac", "aiff", "caf", "ac3", "eac3", "amr", "ape", "tta", "wv"),
)
MAX_RATE = 60
MAX_PIXELS = 139_264 * 256  # 8K and a little more: the largest picture of any level of H.264 (6.2; table A-1)


@dataclass(frozen=True)
class ColorInfo:
    """How the pixels of a source are to be interpreted; the defaults are what viewers get.

    transfer is sdr, pq or hlg; matrix is bt709, bt601, bt2020 or rgb; primaries is bt709, bt2020, p3 or dci-p3.
    interlaced: whether any picture may be. stored: width and height of the pictures before they are deinterlaced or
    compared, where others may follow.
    """

    interlaced: bool = False
    transfer: str = "sdr"
    matrix: str = "bt709"
    full_range: bool = False
    primaries: str = "bt709"
    stored: tuple[int, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ColorInfo":
        """Return the value that is stored in data; unknown keys are ignored."""
        known = {field.name: data[field.name] for field in fields(cls) if field.name in data}
        return cls(**{**known, "stored": tuple(known.get("stored", ()))})


@dataclass(frozen=True)
class Jump:
    """A place in a file where the clock of its video (v) or audio (a) jumps.

    From the packet at this byte on, ticks (of 90 kHz) are added to all times, instead of those of the jump before.
    """

    kind: str
    position: int
    ticks: int

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Jump":
        return cls(str(data["kind"]), int(data["position"]), int(data["ticks"]))


@dataclass(frozen=True)
class Part:
    """What the pictures look like from a frame of the grid on: the displayed size in square pixels, and the colours."""

    frame: int
    width: int
    height: int
    look: ColorInfo

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Part":
        return cls(data["frame"], data["width"], data["height"], ColorInfo.from_json(data["look"]))


@dataclass(frozen=True)
class VideoTrack:
    """The video track of a source. width and height are as displayed: rotated, with square pixels.

    A source of sound alone has a track without a size, whose grid is that of AAC frames (`only_sound`).

    The grid has `frames` frames at `rate`; constant: whether every frame of the source is on it. keyframes are frame
    numbers on the grid. start is the presentation time of the first frame shown, in ticks of time_base. bitrate and
    peak (the highest of any keyframe interval) are in bit/s. lead and tail: frames before the first picture and after
    the last one, where there is only sound; that picture is shown there. still: most frames repeat the one before, in a
    source of a constant rate as well.
    parts: where the pictures look otherwise than before; none if they never do. packed: packets hold two pictures of
    MPEG-4.
    """

    index: int
    codec: str
    profile: str
    pixel_format: str
    width: int
    height: int
    is_simple: bool  # not rotated, square pixels, progressive, of standard dynamic and limited range
    rate: Fraction
    constant: bool
    frames: int
    start: int
    time_base: Fraction
    keyframes: tuple[int, ...]
    keyframe_times: tuple[Fraction, ...]  # seconds on the container's clock
    idr: bool  # every keyframe is an IDR picture, and the first packet is the first picture shown
    bitrate: int
    peak: int
    look: ColorInfo = field(default_factory=ColorInfo)
    clean: bool = True  # H.264: every packet is a complete picture, with one set of parameters for all
    lead: int = 0
    tail: int = 0
    still: bool = False
    keyframe_positions: tuple[int, ...] = ()  # bytes; only of a file whose clock jumps
    parts: tuple[Part, ...] = ()
    packed: bool = False


@dataclass(frozen=True)
class AudioTrack:
    """An audio track of a source. start and end are seconds on the container's clock.

    even: packets follow each other every 1024 samples, without gaps. right: the stream of the right channel, where each
    channel is a track of its own. search: how many bytes of the source are to be read to find the track; 0 where it is
    found at the beginning. role is that of an `AudioRendition`. varies: the container allows another number of channels
    in mid-stream. steady: its rate and its channels are known never to change.
    """

    index: int
    codec: str
    profile: str
    channels: int
    sample_rate: int
    language: str
    start: Fraction
    end: Fraction
    even: bool
    bitrate: int
    name: str = ""
    role: str = ""
    right: int | None = None
    search: int = 0
    varies: bool = False
    steady: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "AudioTrack":
        return cls(**{**data, **{name: Fraction(data[name]) for name in ("start", "end")}})


@dataclass(frozen=True)
class MediaInfo:
    """The facts of a source. container is libavformat's name of its format, start_time in seconds on its clock.

    indexed: whether the container has an index, so that seeks are exact. audio is the first of the audio tracks,
    more_audio has the others. jumps: in the order of the file. length: the seconds that the picture or the sound lasts,
    whichever is longer.
    """

    container: str
    start_time: Fraction
    indexed: bool
    video: VideoTrack
    audio: AudioTrack | None
    warnings: tuple[str, ...] = ()  # messages for the editor about missing or damaged parts
    more_audio: tuple[AudioTrack, ...] = ()
    streams: tuple[SourceStream, ...] = ()  # every one, also those that are not taken
    chapters: tuple[ChapterMark, ...] = ()
    jumps: tuple[Jump, ...] = ()
    length: float = 0.0

    @property
    def audio_tracks(self) -> tuple[AudioTrack, ...]:
        return (self.audio, *self.more_audio) if self.audio else ()

    @property
    def only_sound(self) -> bool:
        """Return whether the source has no pictures."""
        return not self.video.width

    @property
    def duration(self) -> float:
        """The seconds from the start of the first frame shown to the end of the last."""
        return float(self.video.frames / self.video.rate)

    def to_json(self) -> dict[str, Any]:
        """Return plain data, which from_json reads back."""
        data: dict[str, Any] = to_plain(asdict(self))
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "MediaInfo":
        video, audio = data["video"], data["audio"]
        return cls(
            container=data["container"],
            start_time=Fraction(data["start_time"]),
            indexed=data["indexed"],
            video=VideoTrack(
                **{
                    **video,
                    **{name: Fraction(video[name]) for name in ("rate", "time_base")},
                    "keyframes": tuple(video["keyframes"]),
                    "keyframe_times": tuple(map(Fraction, video["keyframe_times"])),
                    "keyframe_positions": tuple(video["keyframe_positions"]),
                    "look": ColorInfo.from_json(video["look"]),
                    "parts": tuple(map(Part.from_json, video["parts"])),
                }
            ),
            audio=audio and AudioTrack.from_json(audio),
            warnings=tuple(data["warnings"]),
            more_audio=tuple(map(AudioTrack.from_json, data["more_audio"])),
            streams=tuple(map(SourceStream.from_json, data.get("streams", ()))),
            chapters=tuple(ChapterMark(**mark) for mark in data.get("chapters", ())),
            jumps=tuple(map(Jump.from_json, data["jumps"])),
            length=data["length"],
        )


def is_worth_copying(video: VideoTrack, container: str, ladder: Ladder = LADDER) -> bool:
    """Return whether a rendition might be copied from the source unchanged, judging by facts that are cheap to read."""
    return (
        video.codec == "h264"
        and video.pixel_format == "yuv420p"
        and video.is_simple
        and video.constant
        and video.idr
        and any(satisfies(video, rendition) for rendition in renditions_for(video.width, video.height, ladder))
        and container.split(",", maxsplit=1)[0] in ("mov", "matroska")
    )


def satisfies(video: VideoTrack, rendition: VideoRendition) -> bool:
    """Return whether the source has the codec and size of a rendition, and a bitrate within its cap."""
    cap, size = rendition.bitrate * 1000, (rendition.width, rendition.height)
    is_small = video.bitrate <= cap and video.peak <= 1.5 * cap
    return video.codec == rendition.codec and (video.width, video.height) == size and is_small


def to_plain(value: Any) -> Any:
    """Return a value with fractions as strings and tuples as lists, at any depth; the rest is unchanged."""
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return [to_plain(item) for item in value] if isinstance(value, list | tuple) else value
