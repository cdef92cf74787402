"""Messages for the editor about missing or damaged parts of a source, of which the rest is published."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
import av.container
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from transcoding.engine.plan.media import VideoTrack
from transcoding.engine.source.clock import clock
from transcoding.engine.source.packets import WITH_WHOLE_INDEX, WITHOUT_INDEX, MediaError, Packets

UNREAD = 0.05  # share of a fragmented file that may follow its last packet without a warning
MISSING = 1  # seconds by which a file may be shorter than it says without a warning
MAX_HOURS = 24
TOO_SHORT = 6  # seconds; a segment
STATING_BYTES = ("wav", "w64", "aiff")
BESIDE_SOUND = 0.2  # share of such a file that may be titles and covers


def warnings_of(
    container: av.container.InputContainer,
    streams: Sequence[VideoStream | AudioStream],
    packets: dict[int, Packets],
) -> Iterator[str]:
    """Yield messages for the editor about missing or damaged parts of the source; the rest is published."""
    found = max((packets[s.index].end * (s.time_base or 0) for s in streams if packets[s.index].times), default=0)
    found -= Fraction(container.start_time or 0, av.time_base)
    stated = Fraction(container.duration or 0, av.time_base)
    if container.format.name not in WITHOUT_INDEX and stated - found > max(Fraction(MISSING), stated / 100):
        yield (
            f"The file says that it lasts {clock(stated)}, but only {clock(found)} of it is there: it was cut off. "
            "The existing part was used. If you have the whole file, replace this one with it."
        )
    elif _is_damaged(container, streams[0], packets):
        yield "Some of the file is damaged. Watch the video, and replace the file with an undamaged one if it matters."
    if warning := packets[streams[0].index].jump_warning:
        yield warning


def too_short(track: VideoTrack, length: Fraction) -> Iterator[str]:
    """Yield a message for the editor if much of the sound has no place in the video."""
    if length - track.frames / track.rate > TOO_SHORT:
        yield (
            f"The file has {clock(length)} of sound, but its times leave place for {clock(track.frames / track.rate)} "
            "only. Some of it is missing. Export the file again, and replace this one by that."
        )


def _is_damaged(
    container: av.container.InputContainer, stream: VideoStream | AudioStream, packets: dict[int, Packets]
) -> bool:
    """Return whether a packet is damaged, or some fragments of a fragmented file could not be found."""
    fragments = container.format.name == WITH_WHOLE_INDEX and stream.frames < len(packets[stream.index].times)
    read_to = max(facts.read_to for facts in packets.values())
    lost = fragments and 0 < read_to < container.size * (1 - UNREAD)
    return lost or any(facts.damaged for facts in packets.values())


def cut_short(container: av.container.InputContainer, packets: Packets) -> Iterator[str]:
    """Yield a message where a WAV states fewer bytes than it has; titles and covers may follow, but take less."""
    if container.format.name in STATING_BYTES and 0 < packets.read_to < container.size * (1 - BESIDE_SOUND):
        yield (
            "The file says where its sound ends, but more follows, which was not used. If sound is missing, export the "
            "file again and replace this one by that."
        )


def check_length(seconds: Fraction) -> None:
    """Raise MediaError for a source of more than MAX_HOURS."""
    if seconds > MAX_HOURS * 3600:
        raise MediaError(
            f"The file says that it lasts {clock(seconds)} hours, and VLog takes up to {MAX_HOURS}. Cut it into parts "
            "and upload those, or export it again if that is not true."
        )
