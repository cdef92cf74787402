"""What a source is: the facts that a plan is made of, and which containers are taken. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from fractions import Fraction
from typing import Any

from transcoding.engine.plan.ladder import renditions_for
from transcoding.engine.renditions import VideoRendition

# Demuxers that a source may need; playlists, `concat` and devices are not among them: they open other files.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2",
    "matroska,webm",
    *("avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf", "ogg", "mxf", "dv", "gif", "ivf", "h264", "hevc", "obu"),
    *("nut", "rm", "wtv", "yuv4mpegpipe", "m4v", "gxf", "live_flv"),
)
MAX_RATE = 60
MAX_PIXELS = 139_264 * 256  # 8K and a little more: the largest picture of any level of H.264 (6.2; table A-1)


@dataclass(frozen=True)
class ColorInfo:
    """What the picture's numbers mean; the default is what viewers get.

    transfer is sdr, pq or hlg; matrix is bt709, bt601, bt2020 or rgb.
    """

    interlaced: bool = False
    transfer: str = "sdr"
    matrix: str = "bt709"
    full_range: bool = False

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ColorInfo":
        """Keys that are not known are ignored."""
        return cls(**{field.name: data[field.name] for field in fields(cls) if field.name in data})


@dataclass(frozen=True)
class VideoTrack:
    """The picture. Sizes are as displayed (rotated, square pixels); keyframes are frame numbers on the grid.

    rate is the grid's; constant tells whether every frame lies on it; start is the first shown frame's time in
    ticks of time_base; bitrate and peak (of one keyframe interval) are bit/s.
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
    keyframe_times: tuple[Fraction, ...]  # seconds, as the container counts
    idr: bool  # every keyframe is an IDR picture, and the first packet is the first picture shown
    bitrate: int
    peak: int
    look: ColorInfo = field(default_factory=ColorInfo)
    clean: bool = True  # H.264: every packet a whole picture, of one set of parameters that players take


@dataclass(frozen=True)
class AudioTrack:
    """The sound. start and end are seconds as the container counts; even: every packet is 1024 samples, to the tick."""

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


@dataclass(frozen=True)
class MediaInfo:
    """A source: container's name, its own start time in seconds, whether it can seek exactly, and its tracks."""

    container: str
    start_time: Fraction
    indexed: bool
    video: VideoTrack
    audio: AudioTrack | None
    warnings: tuple[str, ...] = ()  # sentences for the editor: what of the file is not there

    @property
    def duration(self) -> float:
        """Seconds from the first frame shown to the end of the last."""
        return float(self.video.frames / self.video.rate)

    def to_json(self) -> dict[str, Any]:
        """Plain data; from_json reads it back."""
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
                    "look": ColorInfo.from_json(video["look"]),
                }
            ),
            audio=audio and AudioTrack(**{**audio, **{name: Fraction(audio[name]) for name in ("start", "end")}}),
            warnings=tuple(data["warnings"]),
        )


def is_worth_copying(video: VideoTrack, container: str) -> bool:
    """Whether a rendition might be cut out of the source unchanged, by what is cheap to know."""
    return (
        video.codec == "h264"
        and video.pixel_format == "yuv420p"
        and video.is_simple
        and video.constant
        and video.idr
        and any(satisfies(video, rendition) for rendition in renditions_for(video.width, video.height))
        and container.split(",", maxsplit=1)[0] in ("mov", "matroska")
    )


def satisfies(video: VideoTrack, rendition: VideoRendition) -> bool:
    """Return whether the source is what the rendition asks for: the codec, the size, a bitrate within the cap."""
    cap, size = rendition.bitrate * 1000, (rendition.width, rendition.height)
    is_small = video.bitrate <= cap and video.peak <= 1.5 * cap
    return video.codec == rendition.codec and (video.width, video.height) == size and is_small


def to_plain(value: Any) -> Any:
    """Fractions as text, tuples as lists; floats and the rest as they are."""
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return [to_plain(item) for item in value] if isinstance(value, list | tuple) else value
