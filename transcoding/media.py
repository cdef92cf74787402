"""What a source is: facts read from the container, demuxed and not decoded but for one frame."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import av.container
from av.audio.stream import AudioStream
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

# Demuxers that a source may need; playlists, `concat` and devices are not among them: they open other files.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2",
    "matroska,webm",
    *("avi", "mpegts", "mpeg", "mpegvideo", "flv", "asf", "ogg", "mxf", "dv", "gif", "ivf", "h264", "hevc", "obu"),
    *("nut", "rm", "wtv", "yuv4mpegpipe", "m4v", "gxf", "live_flv"),
)
WITHOUT_INDEX = {"mpegts", "mpeg", "mpegvideo", "h264", "hevc", "m4v", "obu"}
STANDARD_RATES = tuple(
    Fraction(rate) for rate in ("24000/1001", "24", "25", "30000/1001", "30", "48", "50", "60000/1001", "60")
)
MAX_RATE = 60
JITTER = 0.002  # seconds; containers round to 1 ms, some writers twice


class MediaError(Exception):
    """The source cannot become a video; the message tells an editor why and what to do."""


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
    plain: bool  # neither rotated nor interlaced, square pixels
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

    @property
    def duration(self) -> float:
        """Seconds from the first frame shown to the end of the last."""
        return float(self.video.frames / self.video.rate)


@dataclass
class _Packets:
    """What demuxing one track leaves, one item a packet."""

    times: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    keyframes: list[int] = field(default_factory=list)  # positions in times
    end: int = 0
    all_idr: bool = True
    discards: bool = False


def read_media(path: Path) -> MediaInfo:
    """Read what the file is.

    Raises MediaError, in words for the editor, where it cannot be published.
    """
    if not path.exists():
        raise MediaError("The original is not in the storage any more. Upload the file again.")
    if path.stat().st_size == 0:
        raise MediaError("The file is empty (0 bytes): it did not arrive whole. Upload it again.")
    try:
        with open_container(path) as container:
            return _probe(container)
    except av.error.FFmpegError as error:
        raise MediaError(
            "This is not a video file that VLog can read, or it was cut off before it was complete. Check that it "
            f"plays on your computer, export it again (MP4 with H.264 is safe) and upload that. ({error.strerror})"
        ) from error


def open_container(path: Path) -> av.container.InputContainer:
    """Open a local file and nothing else: no protocol but `file`, no format that refers to other files."""
    options = {"protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS)}
    return av.open(str(path), options=options, metadata_errors="replace")


def _probe(container: av.container.InputContainer) -> MediaInfo:
    video, audio = _pick_video(container), _pick_audio(container)
    frame = _first_frame(container, video)
    packets = _demux(container, video, audio)
    if not packets[video.index].times:
        raise MediaError("The video track holds no pictures. Export the file again and upload that.")
    name = container.format.name
    return MediaInfo(
        container=name,
        start_time=Fraction(container.start_time or 0, av.time_base),
        indexed=name not in WITHOUT_INDEX,
        video=_video_track(video, frame, packets[video.index]),
        audio=_audio_track(audio, packets[audio.index]) if audio and packets[audio.index].times else None,
    )


def _pick_video(container: av.container.InputContainer) -> VideoStream:
    """The default picture track; cover art is none."""
    tracks = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not tracks:
        raise MediaError("The file has no video track, only sound or data. Upload a file with a picture.")
    return min(tracks, key=lambda s: (not s.disposition & Disposition.default, s.index))


def _pick_audio(container: av.container.InputContainer) -> AudioStream | None:
    """The default sound track among those that can be decoded."""
    tracks = [s for s in container.streams.audio if s.codec_context is not None and s.codec_context.sample_rate]
    return min(tracks, key=lambda s: (not s.disposition & Disposition.default, s.index), default=None)


def _first_frame(container: av.container.InputContainer, stream: VideoStream) -> VideoFrame:
    """The first picture that decodes: the container does not tell rotation and interlacing reliably."""
    if stream.codec_context is None:
        raise MediaError("The video track is in a format that VLog cannot decode. Export it as MP4 with H.264.")
    for frame in _decodable(container, stream):
        container.seek(0)
        return frame
    raise MediaError("No picture of this file can be decoded. Export it again (MP4 with H.264 is safe).")


def _decodable(container: av.container.InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue  # a broken start; later packets may decode


def _demux(
    container: av.container.InputContainer, video: VideoStream, audio: AudioStream | None
) -> dict[int, _Packets]:
    tracks = {s.index: _Packets() for s in (video, audio) if s is not None}
    h264 = _NalReader(video) if video.codec_context.name == "h264" else None
    for packet in container.demux([s for s in (video, audio) if s is not None]):
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None:
            continue  # the flush packet at the end
        facts = tracks[packet.stream.index]
        if packet.is_discard:
            facts.discards = True
            continue
        if packet.is_keyframe:
            facts.keyframes.append(len(facts.times))
            if h264 and packet.stream is video:
                facts.all_idr = facts.all_idr and h264.is_idr(bytes(packet))
        facts.times.append(time)
        facts.sizes.append(packet.size)
        facts.end = max(facts.end, time + (packet.duration or 0))
    return tracks


class _NalReader:
    """Finds out whether an H.264 access unit is an IDR picture (ITU-T H.264, 7.4.1: unit type 5)."""

    def __init__(self, stream: VideoStream) -> None:
        extradata = stream.codec_context.extradata or b""
        self.length_size = (extradata[4] & 3) + 1 if extradata[:1] == b"\x01" else 0

    def is_idr(self, data: bytes) -> bool:
        types = self._types_by_length(data) if self.length_size else self._types_by_start_code(data)
        return 5 in types

    def _types_by_length(self, data: bytes) -> Iterator[int]:
        at = 0
        while at + self.length_size < len(data):
            length = int.from_bytes(data[at : at + self.length_size], "big")
            yield data[at + self.length_size] & 31
            at += self.length_size + length

    def _types_by_start_code(self, data: bytes) -> Iterator[int]:
        for unit in data.split(b"\x00\x00\x01")[1:]:
            yield unit[0] & 31 if unit else 0


def _video_track(stream: VideoStream, frame: VideoFrame, packets: _Packets) -> VideoTrack:
    context, time_base = stream.codec_context, stream.time_base or Fraction(1, av.time_base)
    aspect = stream.sample_aspect_ratio or Fraction(1)
    width, height = _displayed_size(frame, aspect)
    start, order = min(packets.times), sorted(packets.times)
    native = _native_rate(stream, order, time_base)
    rate = native / -(-native // MAX_RATE)
    constant = rate == native and _on_grid(order, time_base, rate)
    seconds = Fraction(packets.end - start) * time_base
    keys = [packets.times[position] for position in packets.keyframes]
    return VideoTrack(
        index=stream.index,
        codec=context.name,
        profile=context.profile or "",
        pixel_format=frame.format.name,
        width=width,
        height=height,
        plain=frame.rotation == 0 and not frame.interlaced_frame and aspect == 1,
        rate=rate,
        constant=constant,
        frames=max(round((order[-1] - start) * time_base * rate) + 1, round(seconds * rate)),
        start=start,
        time_base=time_base,
        keyframes=tuple(round((time - start) * time_base * rate) for time in keys),
        keyframe_times=tuple(time * time_base for time in keys),
        idr=packets.all_idr and not packets.discards and packets.times[0] == start,
        bitrate=int(8 * sum(packets.sizes) / max(seconds, 1 / rate)),
        peak=_peak(packets, keys, time_base),
    )


def _displayed_size(frame: VideoFrame, aspect: Fraction) -> tuple[int, int]:
    width, height = max(1, round(frame.width * aspect)), frame.height
    return (height, width) if frame.rotation % 180 else (width, height)


def _native_rate(stream: VideoStream, order: list[int], time_base: Fraction) -> Fraction:
    """The source's own frame rate: one that puts every frame on a grid, else the usual one nearest its typical gap."""
    mean = Fraction(len(order) - 1) / ((order[-1] - order[0]) * time_base) if order[-1] > order[0] else Fraction(0)
    claimed = [Fraction(rate) for rate in (stream.guessed_rate, stream.average_rate, stream.base_rate) if rate]
    # The usual rates first: from times that are rounded to a millisecond, ffmpeg guesses 19001/317.
    for rate in filter(None, (*map(_snap, [*claimed, mean]), *claimed)):
        if _on_grid(order, time_base, rate):
            return max(rate, Fraction(1))
    gaps = [b - a for a, b in pairwise(order) if b > a]
    return max(Fraction(1), _snap(1 / (statistics.median_low(gaps) * time_base))) if gaps else Fraction(25)


def _snap(rate: Fraction) -> Fraction:
    """The usual rate next to a measured one, if one is within 2 %."""
    nearest = min(STANDARD_RATES, key=lambda usual: abs(usual - rate))
    return nearest if abs(nearest - rate) <= nearest / 50 else rate.limit_denominator(1001)


def _on_grid(order: list[int], time_base: Fraction, rate: Fraction) -> bool:
    """Whether the frames are exactly 0, 1, 2 … of a grid of this rate, but for rounding."""
    start, ticks = order[0], float(1 / (rate * time_base))
    tolerance = min(max(JITTER / float(time_base), 1), ticks / 2)
    return all(abs(time - start - n * ticks) <= tolerance for n, time in enumerate(order))


def _peak(packets: _Packets, keys: list[int], time_base: Fraction) -> int:
    """The highest bitrate of one keyframe interval, in bit/s."""
    if not keys:
        return 0  # an edit list cut them away
    ends = [*packets.keyframes[1:], len(packets.times)]
    peak = 0
    for first, end, time, following in zip(packets.keyframes, ends, keys, [*keys[1:], packets.end], strict=True):
        if following > time:
            peak = max(peak, int(8 * sum(packets.sizes[first:end]) / ((following - time) * time_base)))
    return peak


def _audio_track(stream: AudioStream, packets: _Packets) -> AudioTrack:
    context, time_base = stream.codec_context, stream.time_base or Fraction(1, stream.codec_context.sample_rate)
    frame = Fraction(1024, context.sample_rate) / time_base
    start, end = packets.times[0] * time_base, packets.end * time_base
    even = frame == 1024 and all(time == packets.times[0] + n * 1024 for n, time in enumerate(packets.times))
    return AudioTrack(
        index=stream.index,
        codec=context.name,
        profile=context.profile or "",
        channels=context.channels,
        sample_rate=context.sample_rate,
        language=stream.language or "und",
        start=start,
        end=end,
        even=even,
        bitrate=int(8 * sum(packets.sizes) / max(end - start, time_base)),
    )
