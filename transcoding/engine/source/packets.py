"""The packets of a source: which ones a container holds, when they are shown, and how it is opened without harm."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import av
import av.container
from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.stream import VideoStream

from transcoding.engine.ffmpeg.inputs import opened_as
from transcoding.engine.plan import copyable
from transcoding.engine.plan.media import FORMATS, MAX_PIXELS

WITH_WHOLE_INDEX = FORMATS[0]
WITHOUT_INDEX = {"mpegts", "mpeg", "mpegvideo", "h264", "hevc", "m4v", "obu"}
GENPTS = 1  # AVFMT_FLAG_GENPTS of libavformat
MAX_PACKETS = 12_000_000  # of one file; a day of 60 pictures and 50 packets of sound a second has 9.5 million
REORDERED = 32  # packets; H.264 and HEVC shift a picture by 16 at most


class MediaError(Exception):
    """The source cannot become a video; the message tells an editor why and what to do."""


@dataclass
class Packets:
    """What the packets of one track tell; times in ticks, one a packet, in the order of decoding."""

    times: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  # bytes
    keyframes: list[int] = field(default_factory=list)  # positions in times
    keyframe_times: list[int] = field(default_factory=list)
    end: int = 0
    only_idr: bool = True
    begins_shown: bool = True  # the first packet is the first picture shown
    damaged: bool = False  # the container says that a packet is, or could not be read on
    read_to: int = 0  # where in the file the last packet ends

    def drop_blind_start(self) -> None:
        """A recording that began in the middle of a GOP: before its first keyframe nothing can be decoded."""
        first = self.keyframes[0] if self.keyframes and self.begins_shown else 0
        self.times, self.sizes = self.times[first:], self.sizes[first:]
        self.keyframes = [position - first for position in self.keyframes]


def open_container(source: str) -> av.container.InputContainer:
    """Open a source and nothing else: no protocol but its own, no format that refers to other files."""
    protocols, name = opened_as(source)
    options = {**protocols, "format_whitelist": ",".join(FORMATS), "max_pixels": str(MAX_PIXELS)}
    container = av.open(name, options=options, metadata_errors="replace")
    if container.format.name == "avi":
        # An AVI has no times of showing; those that would be made up here are not those that ffmpeg makes up.
        container.flags &= ~GENPTS
    return container


def is_plain(packet: "Packet[Any]") -> bool:
    """Whether it is shown, by the parameters of the track's head, and the container does not doubt it."""
    strange = packet.is_discard or packet.is_corrupt or packet.has_sidedata("new_extradata")
    return packet.pts is not None and not strange


def read_index(
    container: av.container.InputContainer, video: VideoStream, audio: AudioStream | None
) -> dict[int, Packets] | None:
    """The facts from an MP4's index: of the file only keyframes and both ends are read, whatever its length.

    None where the index does not tell all: fragments, a cut-off end, an edit list that hides packets.
    """
    if container.format.name != WITH_WHOLE_INDEX:
        return None
    tracks = {s.index: _indexed_packets(container, s) for s in (video, audio) if s is not None}
    facts = {index: packets for index, packets in tracks.items() if packets}
    return facts if len(facts) == len(tracks) else None


def _indexed_packets(container: av.container.InputContainer, stream: VideoStream | AudioStream) -> Packets | None:
    """An index has times of decoding alone: those of showing are the same set, later by the delay of the first."""
    _refuse_endless(len(stream.index_entries))
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
    packets = Packets(
        times=[time + delay for time in order],
        sizes=[entry.size for entry in shown],
        end=max((shown_at(packet) + (packet.duration or 0) for packet in tail), default=0),
        begins_shown=shown[0] is entries[0] and shown_at(head[0]) == order[0] + delay,
    )
    keyframes = [position for position, entry in enumerate(shown) if entry.is_keyframe]
    if isinstance(stream, VideoStream) and not _add_keyframes(packets, container, stream, keyframes, delay):
        return None
    return packets if tail else None


def _add_keyframes(
    packets: Packets, container: av.container.InputContainer, stream: VideoStream, positions: list[int], delay: int
) -> bool:
    """Read each keyframe's packet; False where one is not where the index has it."""
    packets.keyframes, units = positions, _units(stream)
    for position in positions:
        for packet in _packets_at(container, stream, packets.times[position] - delay, delay, count=1):
            packets.keyframe_times.append(shown_at(packet))
            packets.only_idr = packets.only_idr and (units is None or units.is_idr(bytes(packet)))
    return len(packets.keyframe_times) == len(positions)


def _packets_at(
    container: av.container.InputContainer,
    stream: VideoStream | AudioStream,
    time: int,
    delay: int,
    count: int = REORDERED,
) -> "list[Packet[Any]]":
    """Packets from the one on whose time of decoding is given; none where the file has another one there."""
    container.seek(time + delay, stream=stream, any_frame=True)  # it takes a time of showing
    packets = [packet for packet in islice(container.demux(stream), count) if packet.size]
    return packets if packets and packets[0].dts == time else []


def shown_at(packet: "Packet[Any]") -> int:
    return packet.pts if packet.pts is not None else packet.dts or 0


def demux(source: str, video: VideoStream, audio: AudioStream | None) -> dict[int, Packets]:
    """The facts from every packet of the file, opened anew: a seek to the picture's start would skip earlier sound."""
    tracks = {s.index: Packets() for s in (video, audio) if s is not None}
    units = _units(video)
    with open_container(source) as container:
        for count, packet in enumerate(_until_broken(container, tracks)):
            _refuse_endless(count)
            facts, time = tracks[packet.stream.index], shown_at(packet)
            facts.damaged = facts.damaged or packet.is_corrupt
            facts.read_to = max(facts.read_to, (packet.pos or 0) + packet.size)
            if packet.is_discard:
                facts.begins_shown = False
                continue
            if packet.is_keyframe and packet.stream.index == video.index:
                facts.keyframes.append(len(facts.times))
                facts.keyframe_times.append(time)
                facts.only_idr = facts.only_idr and (units is None or units.is_idr(bytes(packet)))
            facts.times.append(time)
            facts.sizes.append(packet.size)
            facts.end = max(facts.end, time + (packet.duration or 0))
    tracks[video.index].drop_blind_start()
    for facts in filter(lambda facts: facts.times, tracks.values()):
        facts.begins_shown = facts.begins_shown and facts.times[0] == min(facts.times)
    return tracks


def _until_broken(container: av.container.InputContainer, tracks: dict[int, Packets]) -> "Iterator[Packet[Any]]":
    """Packets that have a time, as far as the container can be read."""
    try:
        for packet in container.demux(*tracks):
            if packet.dts is not None or packet.pts is not None:  # or it is the flush packet at the end
                yield packet
    except av.error.InvalidDataError:
        for facts in tracks.values():
            facts.damaged = True


def _refuse_endless(packets: int) -> None:
    if packets > MAX_PACKETS:
        raise MediaError(
            "The file holds more pictures than a day of video. Cut it into parts, or export it at 60 pictures a second "
            "or fewer, and upload that."
        )


def _units(stream: VideoStream) -> copyable.Track | None:
    """Return how to read its packets; None where it is not H.264, and not needed."""
    is_h264 = stream.codec_context.name == "h264"
    return copyable.Track(stream.codec_context.extradata or b"") if is_h264 else None
