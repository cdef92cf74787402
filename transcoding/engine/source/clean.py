"""Whether H.264 can be sent to viewers as it is."""

from av.video.stream import VideoStream

from transcoding.engine.plan import copyable
from transcoding.engine.plan.media import VideoTrack
from transcoding.engine.source.packets import is_plain, open_container, shown_at
from transcoding.engine.source.rates import on_grid

WITH_PARAMETERS_IN_HEADER = {"avc1", "H264", "\0\0\0\0"}  # of MP4, and of Matroska; avc3 has them in mid-stream


def is_clean(source: str, stream: VideoStream, track: VideoTrack) -> bool:
    """Return whether every packet can be sent to viewers unchanged: complete, on the grid, with one set of parameters.

    This reads the whole file.
    """
    head = copyable.Track(stream.codec_context.extradata or b"")
    sequence = head.sequence()
    if sequence is None or not sequence.is_legal(track.rate):
        return False
    if stream.codec_context.codec_tag not in WITH_PARAMETERS_IN_HEADER:
        return False
    decoded, shown = [], []
    with open_container(source) as container:
        for packet in filter(lambda packet: packet.size, container.demux(container.streams[track.index])):
            if not is_plain(packet) or not head.is_whole(bytes(packet)):
                return False
            shown.append(shown_at(packet))
            if packet.dts is not None:  # Matroska lacks those of the first packets
                decoded.append(packet.dts)
    if len(shown) != track.frames:
        return False  # the last picture is shown for longer than one frame
    return all(on_grid(times, track.time_base, track.rate) for times in (decoded, sorted(shown)) if times)
