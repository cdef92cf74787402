"""The facts of a source, read from its container. Only one frame is decoded."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import av.container
from av.audio.stream import AudioStream
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import ColorTrc
from av.video.stream import VideoStream

from transcoding.engine.ffmpeg.inputs import is_file
from transcoding.engine.formats import transport
from transcoding.engine.plan.ladder import LADDER, Ladder
from transcoding.engine.plan.media import (
    MAX_PIXELS,
    AudioTrack,
    ColorInfo,
    Jump,
    MediaInfo,
    Part,
    VideoTrack,
    is_worth_copying,
)
from transcoding.engine.source import sound, stills
from transcoding.engine.source.clean import is_clean
from transcoding.engine.source.description import NO_CROP, describe
from transcoding.engine.source.heads import read_head
from transcoding.engine.source.looks import (
    Appearance,
    common_look,
    is_upright,
    look_of,
    may_be_interlaced,
    parts_of,
    stated_parameter_sets,
)
from transcoding.engine.source.packets import (
    WITHOUT_INDEX,
    MediaError,
    Packets,
    demux,
    open_container,
    read_index,
    tick,
)
from transcoding.engine.source.rates import grid_rate
from transcoding.engine.source.streams import chapters_of, inventory
from transcoding.engine.source.warnings import check_length, cut_short, too_short, warnings_of

__all__ = ["MediaError", "read_media"]

GONE = "The original is not in the storage any more. Upload the file again."
ENCRYPTED = "The file is encrypted: its pictures cannot be decoded. Export it without copy protection and upload that."
MAX_SIDE, MAX_TRIES = 16_384, 3_000  # pixels; packets that may fail to decode before the probe gives up
DOLBY_VISION = {"dvh1", "dvhe", "dvav", "dva1", "dav1"}  # codec tags
APART = Fraction(1, 4)  # seconds of sound before the first picture, or after the last, for which that one is shown
# Bytes of a packet that repeats the picture before: a header, and a byte for so many pixels.
REPEATED, PIXELS_A_BYTE = 64, 64 * 256
ALONE_RATE = Fraction(5)  # frames a second of a single picture with sound


def read_media(source: str | Path, ladder: Ladder = LADDER) -> MediaInfo:
    """Return the facts of a source, given its path or its URL on the loopback.

    The ladder decides whether a rendition might be copied, for which all of the file is read.
    Raise MediaError, with a message for the editor, if the source cannot be published.
    """
    source = str(source)
    if is_file(source) and not Path(source).exists():
        raise MediaError(GONE)
    if is_file(source) and Path(source).stat().st_size == 0:
        raise MediaError("The file is empty (0 bytes): it did not arrive whole. Upload it again.")
    try:
        with open_container(source) as container:
            if container.format.name == "mpegts" and transport.is_scrambled(read_head(source, transport.HEAD)):
                raise MediaError(ENCRYPTED)
            if not sound.may_begin_late(container):
                return _probe(source, container, ladder)
        with open_container(source, sound.SEARCHED) as container:
            return _probe(source, container, ladder, sound.SEARCHED)
    except av.error.FFmpegError as error:
        stills.refuse(source)
        raise MediaError(
            "This is not a video or audio file that VLog can read, or it was cut off before it was complete. Check "
            "that it plays on your computer, export it again (MP4 with H.264 is safe) and upload that. "
            f"({error.strerror})"
        ) from error


def _probe(source: str, container: av.container.InputContainer, ladder: Ladder, search: int = 0) -> MediaInfo:
    """Return the facts of a source, of which so many bytes were read in search of audio; 0: as many as usual."""
    video = _pick_video(container)
    if video is None:
        return _probe_sound(source, container)
    audio = sound.pick(container, video)
    _check_picture_size(video.width, video.height)
    frame = _first_frame(container, video)
    _check_picture_size(frame.width, frame.height)
    _check_base_layer(video, frame)
    packets = read_index(container, video, *audio) or demux(source, video, *audio, search=search)
    name, pictures = container.format.name, packets[video.index]
    if not pictures.times:
        raise MediaError(
            "The video track holds no pictures, or does not say when to show them. Export the file as MP4 and upload "
            "that."
        )
    tracks = sound.tracks(container, audio, packets, late=bool(search))
    looks = _looks(container, video, frame, pictures)
    look = _look(video, pictures, looks)
    track = _video_track(video, frame, look, pictures, tracks)
    length = max([track.frames / track.rate, *(packets[each.index].measured * tick(each) for each in audio)])
    streams: list[VideoStream | AudioStream] = [video, *(each for each in audio if packets[each.index].times)]
    return _media(
        source,
        container,
        streams,
        replace(
            track,
            parts=_parts(track, pictures, looks),
            clean=is_worth_copying(track, name, ladder) and is_clean(source, video, track),
        ),
        tracks,
        list(warnings_of(container, streams, packets)) or list(too_short(track, length)),
        length,
        pictures.jumps,
    )


def _probe_sound(source: str, container: av.container.InputContainer) -> MediaInfo:
    """Return the facts of a source of sound alone. Raise MediaError if there is none that can be decoded."""
    streams = sound.pick(container, None)
    packets = (read_index(container, *streams) or demux(source, *streams)) if streams else {}
    tracks = sound.tracks(container, streams, packets, late=False)
    if not tracks:
        raise MediaError(
            "The file has neither pictures nor sound that VLog can decode. Export it as MP4, or sound alone as MP3 or "
            "M4A, and upload that."
        )
    first = next(stream for stream in streams if stream.index == tracks[0].index)
    track = sound.grid(first, packets[first.index])
    return _media(
        source,
        container,
        [each for each in streams if packets[each.index].times],
        track,
        tracks,
        [*warnings_of(container, streams, packets), *cut_short(container, packets[first.index])],
        track.frames / track.rate,
    )


def _media(  # noqa: PLR0913 - what the two kinds of sources have in common
    source: str,
    container: av.container.InputContainer,
    taken: Sequence[VideoStream | AudioStream],
    video: VideoTrack,
    audio: tuple[AudioTrack, ...],
    warnings: list[str],
    length: Fraction,
    jumps: tuple[Jump, ...] = (),
) -> MediaInfo:
    name = container.format.name
    chapters, left_out = chapters_of(container, video.start * video.time_base, float(length))
    return MediaInfo(
        container=name,
        start_time=Fraction(container.start_time or 0, av.time_base),
        indexed=name not in WITHOUT_INDEX,
        video=video,
        audio=audio[0] if audio else None,
        more_audio=audio[1:],
        warnings=(*warnings, *filter(None, [left_out])),
        streams=inventory(source, container, taken),
        chapters=chapters,
        jumps=jumps,
        length=float(length),
    )


def _looks(
    container: av.container.InputContainer, stream: VideoStream, frame: VideoFrame, packets: Packets
) -> list[tuple[int, Appearance]]:
    """Return the parts that look differently, given the first frame."""
    crop = describe(container).crops.get(stream.index, NO_CROP)
    first = look_of(frame, stream.sample_aspect_ratio or Fraction(1), crop)
    return parts_of(first, packets.stretches, turned=bool(frame.rotation % 180))


def _look(stream: VideoStream, packets: Packets, looks: list[tuple[int, Appearance]]) -> Appearance:
    """Return how most of the pictures look; interlaced where any may be."""
    look = common_look(looks, len(packets.times))
    codec, extradata = stream.codec_context.name, stream.codec_context.extradata or b""
    known = [
        *(packets.stretches.parameter_sets() if packets.stretches else ()),
        *stated_parameter_sets(codec, extradata),
    ]
    interlaced = look.colors.interlaced or may_be_interlaced(codec, known)
    stored = looks[0][1].stored if interlaced else ()
    return replace(look, colors=replace(look.colors, interlaced=interlaced, stored=stored))


def _parts(track: VideoTrack, packets: Packets, looks: list[tuple[int, Appearance]]) -> tuple[Part, ...]:
    """Return the parts that look differently, by the frames of the grid; nothing if there is only one."""
    if len(looks) < 2:
        return ()
    begins = [packets.times[number] - min(packets.times) for number, _ in looks]
    frames = [0, *(track.lead + round(begin * track.time_base * track.rate) for begin in begins[1:])]
    return tuple(Part(at, look.width, look.height, look.colors) for at, (_, look) in zip(frames, looks, strict=True))


def _pick_video(container: av.container.InputContainer) -> VideoStream | None:
    """Return the default video track, or else the first; None if there is none but cover art."""
    tracks = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    return min(tracks, key=lambda s: (not s.disposition & Disposition.default, s.index), default=None)


def _first_frame(container: av.container.InputContainer, stream: VideoStream) -> VideoFrame:
    """Return the first frame that can be decoded. Raise MediaError if there is none.

    The frame is needed because containers do not state rotation and interlacing reliably.
    """
    if stream.codec_context is None:
        raise MediaError("The video track is in a format that VLog cannot decode. Export it as MP4 with H.264.")
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    for frame in _decodable_frames(container, stream):
        return frame
    raise MediaError("No picture of this file can be decoded. Export it again (MP4 with H.264 is safe).")


def _check_picture_size(width: int, height: int) -> None:
    """Raise MediaError if a picture of this size is too large."""
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise MediaError(
            f"The picture has {width} by {height} pixels, and 8192 by 4320 is the most that VLog can take. "
            "Export it smaller and upload that."
        )


def _check_base_layer(stream: VideoStream, frame: VideoFrame) -> None:
    """Raise MediaError if the pixels mean nothing without the metadata of Dolby Vision, which ffmpeg does not apply."""
    is_dolby = stream.codec_context.codec_tag in DOLBY_VISION or frame.side_data.get("DOVI_METADATA") is not None
    if is_dolby and frame.color_trc == ColorTrc.UNSPECIFIED:
        raise MediaError(
            "The pictures are in Dolby Vision without colours that other players know (profile 5). Export the video in "
            "HDR10, HLG or standard dynamic range, and upload that."
        )


def _decodable_frames(container: av.container.InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Yield the frames that can be decoded from the first MAX_TRIES packets."""
    for packet in islice(container.demux(stream), MAX_TRIES):
        if packet.has_sidedata("encryption_info"):
            raise MediaError(ENCRYPTED)
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue  # the start is damaged; later packets may be intact


def _video_track(
    stream: VideoStream, frame: VideoFrame, look: Appearance, packets: Packets, tracks: Sequence[AudioTrack]
) -> VideoTrack:
    """Return the facts of the video track. Raise MediaError if it is too long."""
    context, time_base = stream.codec_context, tick(stream)
    start, order = min(packets.times), sorted(packets.times)
    rate, constant = grid_rate((stream.guessed_rate, stream.average_rate, stream.base_rate), order, time_base)
    seconds = Fraction(packets.end - start) * time_base
    if len(order) == 1 and any(each.end - start * time_base > seconds + APART for each in tracks):
        rate = ALONE_RATE
    # A last picture between two frames of the grid, as every second one at 120 fps is, gets no frame of its own.
    shown = max(math.ceil((order[-1] - start) * time_base * rate + Fraction(1, 2)), round(seconds * rate))
    start += _decoder_delay(frame, packets)
    lead, tail = _held(start * time_base, shown, rate, tracks)
    check_length((frames := lead + shown + tail) / rate)
    return VideoTrack(
        index=stream.index,
        codec=context.name,
        profile=context.profile or "",
        pixel_format=frame.format.name,
        width=look.width,
        height=look.height,
        is_simple=_is_simple(frame, look),
        rate=rate,
        constant=constant and not lead and not tail,
        frames=frames,
        start=start - round(lead / rate / time_base),
        time_base=time_base,
        keyframes=tuple(lead + round((time - min(order)) * time_base * rate) for time in packets.keyframe_times),
        keyframe_times=tuple(time * time_base for time in packets.keyframe_times),
        idr=packets.only_idr and packets.begins_shown,
        bitrate=int(8 * sum(packets.sizes) / max(seconds + (lead + tail) / rate, 1 / rate)),
        peak=_peak(packets, time_base),
        still=(still := 2 * _different(packets, look) < frames),
        look=_compared(look, frame) if still else look.colors,
        lead=lead,
        tail=tail,
        keyframe_positions=tuple(packets.keyframe_positions),
        packed=packets.packed,
    )


def _held(start: Fraction, shown: int, rate: Fraction, tracks: Sequence[AudioTrack]) -> tuple[int, int]:
    """Return how many frames have sound before the first picture is shown, and after the last of `shown` frames.

    start is the time of the first picture in seconds. Of several tracks, the earliest and the latest count.
    """
    before = max((start - each.start for each in tracks), default=Fraction(0))
    after = max((each.end - start - shown / rate for each in tracks), default=Fraction(0))
    return math.ceil(before * rate) if before > APART else 0, math.ceil(after * rate) if after > APART else 0


def _is_simple(frame: VideoFrame, look: Appearance) -> bool:
    """Return whether pictures need no conversion; of the matrices of SD and HD players know which one is meant."""
    is_whole = (frame.width, frame.height) == (look.width, look.height)
    return is_whole and is_upright(frame) and replace(look.colors, matrix="bt709") == ColorInfo()


def _decoder_delay(frame: VideoFrame, packets: Packets) -> int:
    """Return the ticks by which frames are later than their packets; 0 unless there are no presentation times (AVI)."""
    return max(0, frame.dts - packets.times[0]) if frame.pts is None and frame.dts is not None else 0


def _compared(look: Appearance, frame: VideoFrame) -> ColorInfo:
    """Return the colours of pictures that are compared, and the size at which they are: rotated, but not stretched."""
    return replace(look.colors, stored=look.stored[:: -1 if frame.rotation % 180 else 1])


def _different(packets: Packets, look: Appearance) -> int:
    """Return about how many pictures are not the same as the one before: codecs write hardly anything for those."""
    hardly = REPEATED + look.stored[0] * look.stored[1] // PIXELS_A_BYTE
    return sum(size > hardly for size in packets.sizes)


def _peak(packets: Packets, time_base: Fraction) -> int:
    """Return the highest bitrate of any keyframe interval, in bit/s."""
    keys = packets.keyframe_times
    if not keys:
        return 0  # an edit list hides all keyframes
    ends = [*packets.keyframes[1:], len(packets.times)]
    peak = 0
    for first, end, time, following in zip(packets.keyframes, ends, keys, [*keys[1:], packets.end], strict=True):
        if following > time:
            peak = max(peak, int(8 * sum(packets.sizes[first:end]) / ((following - time) * time_base)))
    return peak
