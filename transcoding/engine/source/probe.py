"""The facts of a source, read from its container, of which no more than one frame is decoded."""

import math
import statistics
import struct
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import av
import av.container
from av.audio.stream import AudioStream
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from transcoding.engine.ffmpeg.inputs import is_file
from transcoding.engine.plan import copyable
from transcoding.engine.plan.media import (
    MAX_PIXELS,
    MAX_RATE,
    AudioTrack,
    ColorInfo,
    MediaInfo,
    VideoTrack,
    is_worth_copying,
)
from transcoding.engine.source.packets import (
    WITH_WHOLE_INDEX,
    WITHOUT_INDEX,
    MediaError,
    Packets,
    demux,
    is_plain,
    open_container,
    read_index,
    shown_at,
)

__all__ = ["MediaError", "read_media"]

GONE = "The original is not in the storage any more. Upload the file again."
STANDARD_RATES = tuple(
    Fraction(rate) for rate in ("24000/1001", "24", "25", "30000/1001", "30", "48", "50", "60000/1001", "60")
)
MAX_SIDE = 16_384
MAX_HOURS = 24
MAX_TRIES = 3_000  # packets without a picture that decodes
TRANSFERS: dict[int, str] = {ColorTrc.SMPTE2084: "pq", ColorTrc.ARIB_STD_B67: "hlg"}
MATRICES: dict[int, str] = {
    Colorspace.ITU709: "bt709",
    **dict.fromkeys((Colorspace.ITU601, 6, Colorspace.FCC, Colorspace.SMPTE240M), "bt601"),  # 6: 525 lines
    **dict.fromkeys((Colorspace.BT2020, 10), "bt2020"),  # 10: with constant luminance
}
WITH_PARAMETERS_AHEAD = {"avc1", "H264", "\0\0\0\0"}  # of MP4, and of Matroska; avc3 has them among the pictures
UPRIGHT = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)  # a display matrix that changes nothing; fixed point
UNREAD = 0.05  # share of a file in fragments that may lie behind its last packet
MISSING = 1  # seconds that a file may be shorter than it says, without a warning
JITTER = 0.002  # seconds; containers round to 1 ms, some writers twice


def read_media(source: str | Path) -> MediaInfo:
    """Read what the file is, or what is served on the loopback.

    Raises MediaError, in words for the editor, where it cannot be published.
    """
    source = str(source)
    if is_file(source) and not Path(source).exists():
        raise MediaError(GONE)
    if is_file(source) and Path(source).stat().st_size == 0:
        raise MediaError("The file is empty (0 bytes): it did not arrive whole. Upload it again.")
    try:
        with open_container(source) as container:
            return _probe(source, container)
    except av.error.FFmpegError as error:
        raise MediaError(
            "This is not a video file that VLog can read, or it was cut off before it was complete. Check that it "
            f"plays on your computer, export it again (MP4 with H.264 is safe) and upload that. ({error.strerror})"
        ) from error


def _probe(source: str, container: av.container.InputContainer) -> MediaInfo:
    video, audio = _pick_video(container), _pick_audio(container)
    _refuse_giants(video.width, video.height)
    frame = _first_frame(container, video)
    _refuse_giants(frame.width, frame.height)
    packets = read_index(container, video, audio) or demux(source, video, audio)
    name = container.format.name
    if not packets[video.index].times:
        raise MediaError(
            "The video track holds no pictures, or does not say when to show them. Export the file as MP4 and upload "
            "that."
        )
    track = _video_track(video, frame, packets[video.index])
    return MediaInfo(
        container=name,
        start_time=Fraction(container.start_time or 0, av.time_base),
        indexed=name not in WITHOUT_INDEX,
        video=replace(track, clean=is_worth_copying(track, name) and _is_clean(source, video, track)),
        audio=_audio_track(audio, packets[audio.index]) if audio and packets[audio.index].times else None,
        warnings=tuple(_warnings(container, [video, *([audio] if audio else [])], packets)),
    )


def _is_clean(source: str, stream: VideoStream, track: VideoTrack) -> bool:
    """Read every packet: viewers get them as they are, so all have to be whole, in step, and of one kind."""
    head = copyable.Track(stream.codec_context.extradata or b"")
    sequence = head.sequence()
    if sequence is None or not sequence.is_legal(track.rate):
        return False
    if stream.codec_context.codec_tag not in WITH_PARAMETERS_AHEAD:
        return False
    decoded, shown = [], []
    with open_container(source) as container:
        for packet in filter(lambda packet: packet.size, container.demux(container.streams[track.index])):
            if not is_plain(packet) or not head.is_whole(bytes(packet)):
                return False
            shown.append(shown_at(packet))
            if packet.dts is not None:  # Matroska does not have the first ones
                decoded.append(packet.dts)
    if len(shown) != track.frames:
        return False  # a last picture that stands longer
    return all(_on_grid(times, track.time_base, track.rate) for times in (decoded, sorted(shown)) if times)


def _warnings(
    container: av.container.InputContainer,
    streams: list[VideoStream | AudioStream],
    packets: dict[int, Packets],
) -> Iterator[str]:
    """What the editor should know of a file that is not whole; it is published as far as it goes."""
    there = max((packets[s.index].end * (s.time_base or 0) for s in streams if packets[s.index].times), default=0)
    there -= Fraction(container.start_time or 0, av.time_base)
    promised = Fraction(container.duration or 0, av.time_base)
    if container.format.name not in WITHOUT_INDEX and promised - there > max(Fraction(MISSING), promised / 100):
        yield (
            f"The file says that it lasts {_clock(promised)}, but only {_clock(there)} of it is there: it was cut off. "
            "The existing part was used. If you have the whole file, upload that as a new video."
        )
    elif _is_damaged(container, streams[0], packets):
        yield "Some of the file is damaged. Watch the video, and upload an undamaged file as a new one if it matters."


def _is_damaged(
    container: av.container.InputContainer, stream: VideoStream | AudioStream, packets: dict[int, Packets]
) -> bool:
    """Whether a packet is broken, or the file is one of fragments of which some cannot be found."""
    fragments = container.format.name == WITH_WHOLE_INDEX and stream.frames < len(packets[stream.index].times)
    read_to = max(facts.read_to for facts in packets.values())
    lost = fragments and 0 < read_to < container.size * (1 - UNREAD)
    return lost or any(facts.damaged for facts in packets.values())


def _clock(seconds: Fraction) -> str:
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


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
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    for frame in _decodable(container, stream):
        return frame
    raise MediaError("No picture of this file can be decoded. Export it again (MP4 with H.264 is safe).")


def _refuse_giants(width: int, height: int) -> None:
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise MediaError(
            f"The picture has {width} by {height} pixels, and 8192 by 4320 is the most that VLog can take. "
            "Export it smaller and upload that."
        )


def _decodable(container: av.container.InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    for packet in islice(container.demux(stream), MAX_TRIES):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue  # a broken start; later packets may decode


def _video_track(stream: VideoStream, frame: VideoFrame, packets: Packets) -> VideoTrack:
    context, time_base = stream.codec_context, stream.time_base or Fraction(1, av.time_base)
    aspect = stream.sample_aspect_ratio or Fraction(1)
    width, height = _displayed_size(frame, aspect)
    look = _look(frame)
    start, order = min(packets.times), sorted(packets.times)
    native = _native_rate(stream, order, time_base)
    rate = native / -(-native // MAX_RATE)
    constant = rate == native and _on_grid(order, time_base, rate)
    seconds = Fraction(packets.end - start) * time_base
    keys = packets.keyframe_times
    # A last picture that falls between two places of the grid, as every second one of 120 does, needs none of its own.
    last = math.ceil((order[-1] - start) * time_base * rate - Fraction(1, 2))
    frames = max(last + 1, round(seconds * rate))
    if frames > MAX_HOURS * 3600 * rate:
        raise MediaError(
            f"The file says that it lasts {_clock(frames / rate)} hours, and VLog takes up to {MAX_HOURS}. Cut it into "
            "parts and upload those, or export it again if that is not true."
        )
    return VideoTrack(
        index=stream.index,
        codec=context.name,
        profile=context.profile or "",
        pixel_format=frame.format.name,
        width=width,
        height=height,
        is_simple=_is_upright(frame) and aspect == 1 and replace(look, matrix="bt709") == ColorInfo(),
        rate=rate,
        constant=constant,
        frames=frames,
        start=start + _decoders_delay(frame, packets),
        time_base=time_base,
        keyframes=tuple(round((time - start) * time_base * rate) for time in keys),
        keyframe_times=tuple(time * time_base for time in keys),
        idr=packets.only_idr and packets.begins_shown,
        bitrate=int(8 * sum(packets.sizes) / max(seconds, 1 / rate)),
        peak=_peak(packets, time_base),
        look=look,
    )


def _decoders_delay(frame: VideoFrame, packets: Packets) -> int:
    """Ticks by which pictures come later than their packets, where the container has no times of showing (AVI)."""
    return max(0, frame.dts - packets.times[0]) if frame.pts is None and frame.dts is not None else 0


def _is_upright(frame: VideoFrame) -> bool:
    """Neither turned nor mirrored, which alone has a rotation of 0, too."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    return matrix is None or struct.unpack("9i", bytes(matrix)) == UPRIGHT


def _displayed_size(frame: VideoFrame, aspect: Fraction) -> tuple[int, int]:
    width, height = max(1, round(frame.width * aspect)), frame.height
    return (height, width) if frame.rotation % 180 else (width, height)


def _look(frame: VideoFrame) -> ColorInfo:
    """As the frame says; where it says nothing, as players take it: BT.601 in standard definition, else BT.709."""
    standard_definition = max(frame.width, frame.height) <= 1024 and min(frame.width, frame.height) <= 576
    usual = "bt601" if standard_definition else "bt709"
    is_rgb = frame.format.is_rgb
    return ColorInfo(
        interlaced=bool(frame.interlaced_frame),
        transfer=TRANSFERS.get(frame.color_trc, "sdr"),
        matrix="rgb" if is_rgb else MATRICES.get(frame.colorspace, usual),
        full_range=not is_rgb and (frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")),
    )


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


def _peak(packets: Packets, time_base: Fraction) -> int:
    """The highest bitrate of one keyframe interval, in bit/s."""
    keys = packets.keyframe_times
    if not keys:
        return 0  # an edit list cut them away
    ends = [*packets.keyframes[1:], len(packets.times)]
    peak = 0
    for first, end, time, following in zip(packets.keyframes, ends, keys, [*keys[1:], packets.end], strict=True):
        if following > time:
            peak = max(peak, int(8 * sum(packets.sizes[first:end]) / ((following - time) * time_base)))
    return peak


def _audio_track(stream: AudioStream, packets: Packets) -> AudioTrack:
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
