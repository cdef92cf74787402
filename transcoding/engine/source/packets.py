"""The packets of a source: opening its container safely, and reading which packets it has and when they are shown."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import islice
from typing import Any

import av
import av.container
from av.audio.stream import AudioStream
from av.index import IndexEntry
from av.packet import Packet
from av.video.stream import VideoStream

from transcoding.engine.ffmpeg.inputs import opened_as, search_options
from transcoding.engine.plan import copyable
from transcoding.engine.plan.media import FORMATS, MAX_PIXELS, Jump
from transcoding.engine.plan.sound import AAC_FRAME
from transcoding.engine.source.clock import Clock, corrected, join
from transcoding.engine.source.heads import is_mp3, mp3_layout
from transcoding.engine.source.looks import Stretches

WITH_WHOLE_INDEX = FORMATS[0]  # MP4 and its relatives: the index lists every packet
MATROSKA = FORMATS[1]
WITH_CLOCK = {"mpegts", "mpeg"}  # streams with times of 90 kHz, which stay readable when they are joined byte by byte
WITHOUT_INDEX = {"mpegts", "mpeg", "mpegvideo", "h264", "hevc", "m4v", "obu"}
MPEG4_PICTURE = b"\x00\x00\x01\xb6"  # begins each picture (ISO/IEC 14496-2, 6.2.1)
GENPTS = 1  # AVFMT_FLAG_GENPTS of libavformat
MAX_PACKETS = 12_000_000  # per file; a day at 60 pictures and 50 audio packets a second has 9.5 million
REORDERED = 32  # packets; H.264 and HEVC reorder pictures by at most 16 positions


class MediaError(Exception):
    """The source cannot become a video; the message explains the reason to the editor, and what to do."""


@dataclass
class Packets:
    """The facts of one track from its packets. times has one time per packet, in ticks, in decoding order."""

    codec: str = ""  # of video whose pictures are looked at
    h264_track: copyable.Track | None = None
    times: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  # bytes
    keyframes: list[int] = field(default_factory=list)  # indexes into times
    keyframe_times: list[int] = field(default_factory=list)  # ticks
    end: int = 0  # ticks; when the last packet is no longer shown
    only_idr: bool = True  # every keyframe is an IDR picture
    begins_shown: bool = True  # the first packet is the first picture shown
    unreadable: bool = False  # the container could not be read to its end
    corrupt: int = 0  # packets that the container marks as damaged
    read_to: int = 0  # bytes; the offset in the file at which the last packet ends
    measured: int = 0  # ticks; the sum of the packets' durations
    clock: Clock | None = None  # only of formats whose clock may jump
    jumps: tuple[Jump, ...] = ()  # of the clocks of all tracks
    jump_warning: str = ""
    packed: bool = False  # a packet holds two pictures, as DivX packs B-frames into an AVI
    keyframe_positions: list[int] = field(default_factory=list)  # bytes; only where jumps
    stretches: Stretches | None = None  # of the video, where its pictures may change

    @property
    def damaged(self) -> bool:
        """Whether a part is damaged. Where files were joined, a first packet is marked although it is whole."""
        joints = len(self.jumps) + (len(self.stretches.begins) - 1 if self.stretches and self.stretches.begins else 0)
        return self.unreadable or self.corrupt > joints

    def add(self, packet: "Packet[Any]") -> None:
        """Add the next packet in decoding order."""
        self.corrupt += packet.is_corrupt
        self.read_to = max(self.read_to, (packet.pos or 0) + packet.size)
        if packet.is_discard:
            self.begins_shown = False
            return
        if self.codec:
            self._add_picture(packet)
        time, duration = shown_at(packet), packet.duration or 0
        self.take(time, packet.size, duration)
        self.measured += duration
        if self.clock:
            self.clock.add(time if packet.dts is None else packet.dts, time, duration, packet.pos or 0)

    def _add_picture(self, packet: "Packet[Any]") -> None:
        if self.codec == "mpeg4" and not self.packed:
            self.packed = bytes(packet).count(MPEG4_PICTURE) > 1
        if packet.is_keyframe:
            data = bytes(packet)
            self.keyframes.append(len(self.times))
            self.keyframe_times.append(shown_at(packet))
            self.only_idr = self.only_idr and (self.h264_track is None or self.h264_track.is_idr(data))
            if self.stretches:
                self.stretches.add(len(self.times), data)

    def drop_unsafe_keyframes(self) -> None:
        """Forget the keyframes of an AVI that follow a dropped picture: after a seek to one, times are wrong by one."""
        kept = [n for n, at in enumerate(self.keyframes) if at == 0 or self.times[at] == self.times[at - 1] + 1]
        self.keyframes = [self.keyframes[n] for n in kept]
        self.keyframe_times = [self.keyframe_times[n] for n in kept]

    def set_clock(self, jumps: Sequence[Jump]) -> None:
        """Replace the times by those of the repaired clock, which jumps there."""
        if self.clock and self.times:
            positions = self.clock.positions
            self.times = corrected(self.clock.shown, positions, jumps)
            self.end = max(corrected(self.clock.ends, positions, jumps))
            self.keyframe_times = [self.times[number] for number in self.keyframes]
            self.keyframe_positions = [positions[number] for number in self.keyframes] if jumps else []
        self.clock = None

    def take(self, time: int, size: int, duration: int) -> None:
        """Add a packet; time and duration are in ticks, size in bytes."""
        self.times.append(time)
        self.sizes.append(size)
        self.end = max(self.end, time + duration)

    def drop_undecodable_start(self) -> None:
        """Drop what precedes the first keyframe of a recording that began within a GOP: it cannot be decoded."""
        first = self.keyframes[0] if self.keyframes and self.begins_shown else 0
        self.times, self.sizes = self.times[first:], self.sizes[first:]
        self.keyframes = [position - first for position in self.keyframes]
        if self.stretches:
            self.stretches.drop(first)


@dataclass
class AudioPackets(Packets):
    """The facts of an audio track: of times only the first, so that dozens of long tracks take no memory."""

    size: int = 0  # bytes
    count: int = 0
    even: bool = True  # packets follow each other every AAC_FRAME ticks
    position: int = 0  # bytes; the offset in the file at which the first packet ends
    is_mp3: bool = False
    layouts: set[bytes] = field(default_factory=set)  # of MP3: the rates and numbers of channels of its frames

    def add(self, packet: "Packet[Any]") -> None:
        super().add(packet)
        if self.is_mp3:
            self.layouts.add(mp3_layout(bytes(packet)[:4]))
        self.position = self.position or self.read_to

    def take(self, time: int, size: int, duration: int) -> None:
        self.times = self.times or [time]
        self.even = self.even and time == self.times[0] + self.count * AAC_FRAME
        self.size, self.count = self.size + size, self.count + 1
        self.end = max(self.end, time + duration)


def open_container(source: str, search: int = 0) -> av.container.InputContainer:
    """Open a source and nothing that it refers to: only its own protocol, and no format that opens other files.

    search: how many bytes to read in search of tracks that begin late; 0: as many as libav does by itself.
    """
    protocols, name = opened_as(source)
    options = {
        **protocols,
        **search_options(search),
        "format_whitelist": ",".join(FORMATS),
        "max_pixels": str(MAX_PIXELS),
    }
    container = av.open(name, options=options, metadata_errors="replace")
    if container.format.name == "avi":
        # AVI has no presentation times, and those that libavformat would generate here differ from ffmpeg's own.
        container.flags &= ~GENPTS
    return container


def is_plain(packet: "Packet[Any]") -> bool:
    """Return whether a packet is shown, not marked as damaged, and needs only the parameters in the track's header."""
    strange = packet.is_discard or packet.is_corrupt or packet.has_sidedata("new_extradata")
    return packet.pts is not None and not strange


def read_index(
    container: av.container.InputContainer, *streams: VideoStream | AudioStream
) -> dict[int, Packets] | None:
    """Return the facts of tracks by stream index, from the index of an MP4; None if that is not enough.

    Only the keyframes and the packets at both ends are read, however long the file is. The index is not enough if the
    file consists of fragments, if its end is missing, or if an edit list hides packets.
    """
    if container.format.name != WITH_WHOLE_INDEX:
        return None
    tracks = {stream.index: _indexed_packets(container, stream) for stream in streams}
    facts = {index: packets for index, packets in tracks.items() if packets}
    return facts if len(facts) == len(tracks) else None


def _indexed_packets(container: av.container.InputContainer, stream: VideoStream | AudioStream) -> Packets | None:
    """Return the facts of one track from its index, or None if the index does not match the file.

    An index only has decoding times. The presentation times are the same set of values, all later by the delay between
    the first decoding time and the first presentation time.
    """
    _check_packet_count(len(stream.index_entries))
    entries, size = list(stream.index_entries), container.size
    shown = [entry for entry in entries if not entry.is_discard]
    if not shown or len(entries) != stream.frames or any(entry.pos + entry.size > size for entry in shown):
        return None
    order = [entry.timestamp for entry in shown]
    head = _packets_at(container, stream, order[0], 0)
    if not head:
        return None
    delay = min(map(shown_at, head)) - order[0]
    tail = _packets_at(container, stream, order[-REORDERED:][0], delay)
    end = max((shown_at(packet) + (packet.duration or 0) for packet in tail), default=0)
    if isinstance(stream, AudioStream):
        return _indexed_sound(entries, delay, end) if tail else None
    packets = Packets(
        times=[time + delay for time in order],
        sizes=[entry.size for entry in shown],
        end=end,
        begins_shown=shown[0] is entries[0] and shown_at(head[0]) == order[0] + delay,
    )
    keyframes = [position for position, entry in enumerate(shown) if entry.is_keyframe]
    if not _add_keyframes(packets, container, stream, keyframes, delay):
        return None
    return packets if tail else None


def _indexed_sound(entries: Iterable[IndexEntry], delay: int, end: int) -> AudioPackets:
    packets = AudioPackets()
    for entry in entries:
        if not entry.is_discard:
            packets.take(entry.timestamp + delay, entry.size, 0)
    packets.end = end
    return packets


def _add_keyframes(
    packets: Packets, container: av.container.InputContainer, stream: VideoStream, positions: list[int], delay: int
) -> bool:
    """Read the packets of all keyframes and add their facts; return False if one is not where the index says."""
    packets.keyframes, h264_track = positions, _h264_track(stream)
    packets.stretches = Stretches(stream.codec_context.name, stream.codec_context.extradata or b"")
    for position in positions:
        for packet in _packets_at(container, stream, packets.times[position] - delay, delay, count=1):
            packets.keyframe_times.append(shown_at(packet))
            packets.only_idr = packets.only_idr and (h264_track is None or h264_track.is_idr(bytes(packet)))
            packets.stretches.add(position, bytes(packet))
    return len(packets.keyframe_times) == len(positions)


def _packets_at(
    container: av.container.InputContainer,
    stream: VideoStream | AudioStream,
    time: int,
    delay: int,
    count: int = REORDERED,
) -> "list[Packet[Any]]":
    """Return up to count packets, starting with the one whose decoding time is given (in ticks, as is delay).

    The list is empty if the file has another packet there.
    """
    container.seek(time + delay, stream=stream, any_frame=True)  # seek takes a presentation time
    packets = [packet for packet in islice(container.demux(stream), count) if packet.size]
    return packets if packets and packets[0].dts == time else []


def shown_at(packet: "Packet[Any]") -> int:
    """Return the presentation time of a packet in ticks; else its decoding time, else 0."""
    return packet.pts if packet.pts is not None else packet.dts or 0


def tick(stream: VideoStream | AudioStream) -> Fraction:
    """Return the seconds of one tick of a stream's clock."""
    return stream.time_base or Fraction(1, av.time_base)


def demux(source: str, *streams: VideoStream | AudioStream, search: int = 0) -> dict[int, Packets]:
    """Return the facts of tracks by stream index, from every packet of the file; search as in `open_container`.

    The file is opened a second time, because seeking back to the first picture would skip audio that begins earlier.
    """
    tracks = {s.index: Packets() if isinstance(s, VideoStream) else AudioPackets(is_mp3=is_mp3(s)) for s in streams}
    video = next((stream for stream in streams if isinstance(stream, VideoStream)), None)
    with open_container(source, search) as container:
        name = container.format.name
        if video:
            _prepare(tracks, video, has_clock=name in WITH_CLOCK)
        for count, packet in enumerate(_readable_packets(container, tracks)):
            _check_packet_count(count)
            tracks[packet.stream.index].add(packet)
    if video:
        pictures = tracks[video.index]
        if name == "avi":
            pictures.drop_unsafe_keyframes()
        _join_clocks(pictures, [facts for facts in tracks.values() if facts is not pictures])
        pictures.drop_undecodable_start()
    for facts in filter(lambda facts: facts.times, tracks.values()):
        facts.begins_shown = facts.begins_shown and facts.times[0] == min(facts.times)
    return tracks


def _prepare(tracks: dict[int, Packets], video: VideoStream, *, has_clock: bool) -> None:
    """Have the pictures looked at, and the clock of all tracks kept where it may jump."""
    pictures = tracks[video.index]
    pictures.codec, pictures.h264_track = video.codec_context.name, _h264_track(video)
    pictures.stretches = Stretches(pictures.codec, b"" if has_clock else video.codec_context.extradata or b"")
    if has_clock:
        for facts in tracks.values():
            facts.clock = Clock()


def _join_clocks(video: Packets, audio: Sequence[Packets]) -> None:
    """Correct the times of a file whose clock jumps, and single times that are damaged.

    All audio tracks jump where the first does.
    """
    for clock in [facts.clock for facts in (video, *audio) if facts.clock]:
        clock.repair()
    if not video.clock:
        return
    jumps, video.jump_warning = join(video.clock, audio[0].clock if audio else None)
    for kind, facts in [("v", video), *(("a", facts) for facts in audio)]:
        facts.jumps = jumps
        facts.set_clock([jump for jump in jumps if jump.kind == kind])


def _readable_packets(container: av.container.InputContainer, tracks: dict[int, Packets]) -> "Iterator[Packet[Any]]":
    """Yield the packets that have a time. If the container cannot be read to its end, mark the tracks as damaged."""
    try:
        for packet in container.demux(*tracks):
            if packet.dts is not None or packet.pts is not None:  # the flush packet at the end has no time
                yield packet
    except av.error.InvalidDataError:
        for facts in tracks.values():
            facts.unreadable = True


def _check_packet_count(packets: int) -> None:
    """Raise MediaError if there are more than MAX_PACKETS packets."""
    if packets > MAX_PACKETS:
        raise MediaError(
            "The file holds more pictures than a day of video. Cut it into parts, or export it at 60 pictures a second "
            "or fewer, and upload that."
        )


def _h264_track(stream: VideoStream) -> copyable.Track | None:
    """Return a reader of the NAL units of an H.264 stream; None for other codecs."""
    is_h264 = stream.codec_context.name == "h264"
    return copyable.Track(stream.codec_context.extradata or b"") if is_h264 else None
