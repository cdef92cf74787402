"""Clocks that start again or jump within a file: recordings that were joined byte by byte, cells of a DVD. Pure.

Such a file has times that belong to several clocks. The parts are put one after another, without a gap.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from transcoding.engine.plan.media import Jump

TICK = Fraction(1, 90_000)  # seconds; the clock of MPEG-TS and MPEG-PS
BACKWARD = 45_000  # ticks; decoding times ascend, except for small errors of writers
FORWARD = 900_000  # ticks without picture and sound: no pause of a recording that goes on, but another clock
LASTING = 3  # packets that follow one with another clock; a single one has a damaged time
NAMED = 3  # jumps in the message to the editor


@dataclass
class Clock:
    """The times of one track's packets in the order of the file, in ticks of 90 kHz.

    decoded ascends while the clock runs; shown and ends say when each packet is shown and when no longer; positions
    are bytes, ascending.
    """

    decoded: "array[int]" = field(default_factory=lambda: array("q"))
    shown: "array[int]" = field(default_factory=lambda: array("q"))
    ends: "array[int]" = field(default_factory=lambda: array("q"))
    positions: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, decoded: int, shown: int, duration: int, position: int) -> None:
        """Add the next packet. Packets that do not state their position have that of the one before."""
        self.decoded.append(decoded)
        self.shown.append(shown)
        self.ends.append(shown + duration)
        self.positions.append(max(position, self.positions[-1] if self.positions else 0))

    def repair(self) -> None:
        """Give each single packet with a damaged time that of the packet before it."""
        for at in self._steps():
            if self._is_alone(at):
                for times in (self.decoded, self.shown, self.ends):
                    times[at] = times[at - 1]

    def jumps(self) -> list[int]:
        """Return the packets with which another clock begins, after `repair`."""
        return [at for at in self._steps() if self._lasts(at)]

    def _steps(self) -> Iterator[int]:
        """Yield the packets whose time does not follow that of the packet before."""
        for at in range(1, len(self.decoded)):
            if not _follows(self.decoded[at - 1], self.decoded[at]):
                yield at

    def _is_alone(self, at: int) -> bool:
        return at + 1 == len(self.decoded) or _follows(self.decoded[at - 1], self.decoded[at + 1])

    def _lasts(self, at: int) -> bool:
        following = self.decoded[at : at + LASTING]
        return len(following) > 1 and all(_follows(a, b) for a, b in pairwise(following))

    def is_silent(self, start: int, end: int) -> bool:
        """Return whether no packet is within the time between two others."""
        return not any(start + BACKWARD < time < end - BACKWARD for time in self.decoded)


def _follows(time: int, following: int) -> bool:
    return -BACKWARD <= following - time <= FORWARD


def join(video: Clock, audio: Clock | None) -> tuple[tuple[Jump, ...], str]:
    """Return how the clocks of a file become one, and a message for the editor; nothing if there is only one clock.

    The clock of the video decides: its last picture before a jump is followed by the first one after it, and the sound
    moves by as much.
    """
    starts = [at for at in video.jumps() if _is_jump(video, audio, at)]
    if not starts:
        return (), ""
    offsets = _offsets(video, starts)
    jumps = [Jump("v", video.positions[at], ticks) for at, ticks in zip(starts, offsets, strict=True)]
    if audio:
        places = _audio_places(video, audio, starts)
        jumps += [Jump("a", position, ticks) for position, ticks in zip(places, offsets, strict=True)]
    return tuple(jumps), _warning(video, starts, offsets)


def _is_jump(video: Clock, audio: Clock | None, at: int) -> bool:
    """Return whether the clock jumps; a picture that is shown for long, while the sound goes on, is none."""
    before, after = video.decoded[at - 1], video.decoded[at]
    return after < before or audio is None or audio.is_silent(before, after)


def _offsets(video: Clock, starts: list[int]) -> list[int]:
    """Return the ticks that are added from each start on."""
    found, offset = [], 0
    for begin, start, end in zip([0, *starts], starts, [*starts[1:], len(video.shown)], strict=False):
        offset += max(video.ends[begin:start]) - min(video.shown[start:end])
        found.append(offset)
    return found


def _audio_places(video: Clock, audio: Clock, starts: list[int]) -> list[int]:
    """Return the byte with which the sound of each clock begins: its own jump that is nearest to the video's."""
    own, found = [audio.positions[at] for at in audio.jumps()], [0]
    for start in starts:
        position = video.positions[start]
        nearest = min(own, key=lambda place: abs(place - position), default=position)
        own = [place for place in own if place > nearest]
        found.append(max(nearest, found[-1]))
    return found[1:]


def corrected(times: Iterable[int], positions: Iterable[int], jumps: Sequence[Jump]) -> list[int]:
    """Return times (ticks, with the byte of each packet) as one clock, given the jumps of their track."""
    places = [jump.position for jump in jumps]
    offsets = [0, *(jump.ticks for jump in jumps)]
    return [time + offsets[bisect_right(places, position)] for time, position in zip(times, positions, strict=True)]


def _warning(video: Clock, starts: list[int], offsets: list[int]) -> str:
    begin = min(video.shown[: starts[0]])
    found = []
    for start, offset in zip(starts, offsets, strict=True):
        before, after = video.decoded[start - 1], video.decoded[start]
        found.append(
            f"at {clock((after + offset - begin) * TICK)} from {clock(before * TICK)} to {clock(after * TICK)}"
        )
    more = f" and {len(found) - NAMED} more times" if len(found) > NAMED else ""
    return (
        f"The clock of the file jumps: {', '.join(found[:NAMED])}{more}. The parts follow each other in the video, "
        "without a gap. Watch it there, and upload the parts as videos of their own if something is wrong."
    )


def clock(seconds: Fraction) -> str:
    """Return a duration as h:mm:ss."""
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
