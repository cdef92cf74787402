"""One piece of a video: ffmpeg's fragments, read from its pipes and handed on as whole segments."""

import fcntl
import os
import selectors
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from transcoding.engine.contract import INIT, Assignment
from transcoding.engine.ffmpeg import commands
from transcoding.engine.ffmpeg.processes import FfmpegError, Killed, Limits, Running
from transcoding.engine.formats.boxes import BrokenBoxes, Fragment, FragmentReader, timescale
from transcoding.engine.timeline import Timeline

Deliver = Callable[[str, int, bytes], None]

PIPE_SIZE = 1 << 20  # bytes; ffmpeg need not wait for us at every 64 KiB
TICK = 0.5  # seconds between looks at whether to go on
STALLED = 600  # seconds without a fragment before an encoder counts as hanging
ENDING = 30  # seconds that ffmpeg may take to end after closing its pipes
START_UP, EACH_FRAME = 1800, 10  # seconds of processor time, for a piece and for each of its frames
MENDING = 10  # segments further back, where the keyframe before a piece is damaged
FROM_THE_START = -1.0
NOTICEABLE = Fraction(1, 2)  # seconds of missing pictures


class EncodeError(Exception):
    """The piece could not be made; the message says why, with the end of ffmpeg's log."""


class Incomplete(EncodeError):
    """The source showed less than the plan promised: so many units are missing at least."""

    def __init__(self, sentence: str, missing: int) -> None:
        super().__init__(sentence)
        self.missing = missing


@dataclass
class Segments:
    """Gathers one rendition's fragments into the plan's segments, first to last inclusive.

    may_end_early: the very last segment of the track may be shorter than planned, as copied sound is.
    """

    timeline: Timeline
    first: int
    last: int
    may_end_early: bool = False
    scale: int = 0
    init: bytes = b""
    index: int = 0
    count: int = 0
    parts: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.index = self.first

    def add(self, fragment: Fragment, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Take the next fragment; yields the segment that it completes as (number, bytes)."""
        start = int(Fraction(fragment.start, self.scale) / self.timeline.unit)
        if not self.first <= self.timeline.index_of(start) <= self.last:
            return  # a copied rung starts a GOP early and runs past the end
        expected = self.timeline.starts[self.index] + self.count
        if start != expected:
            raise Incomplete(f"a fragment begins at {start}, not at {expected}", start - expected)
        self.parts.append(data)
        self.count += fragment.samples
        if self.count > self.timeline.length(self.index):
            raise EncodeError(f"segment {self.index} has no keyframe at its end")
        if self.count == self.timeline.length(self.index):
            yield self._close()

    def take_init(self) -> bytes:
        """The init segment, once."""
        init, self.init = self.init, b""
        return init

    def finish(self) -> Iterator[tuple[int, bytes]]:
        """The end of the stream; raises Incomplete where it came too soon."""
        if self.index > self.last:
            return
        if not (self.parts and self.may_end_early and self.index + 1 == len(self.timeline)):
            short = self.timeline.length(self.index) - self.count
            missing = self.timeline.bounds(self.last)[1] - self.timeline.starts[self.index] - self.count
            raise Incomplete(f"the source ended {short} frames before the end of segment {self.index}", missing)
        yield self._close()

    def _close(self) -> tuple[int, bytes]:
        done = self.index, b"".join(self.parts)
        self.index, self.count, self.parts = self.index + 1, 0, []
        return done


def encode(assignment: Assignment, deliver: Deliver, check: Callable[[], None], threads: int = 0) -> tuple[str, ...]:
    """Make the piece; returns sentences for the editor about what could not be decoded.

    deliver gets each rendition's init segment (as INIT) and whole segments, in order, as they are ready; check is
    called at least every second and stops the work by raising. Where a damaged source shows less than the plan
    promised, what is missing is made again, with the nearest picture held or in silence. Raises EncodeError where
    ffmpeg fails or what it wrote is not what the plan says.
    """
    work = _Work(assignment, deliver, check, threads)
    if assignment.urgent:
        work.low_latency()
    reason = work.attempt(None)
    warning = work.warning(reason)
    if reason is None:
        return warning
    for mend in dict.fromkeys(_places(assignment)):
        if work.attempt(mend) is None:
            return warning
    raise EncodeError(str(reason))


def _places(assignment: Assignment) -> Iterator[float]:
    """Where to read a damaged source from, in seconds: ever further back."""
    seeks = assignment.plan.seeks if assignment.kind == "video" else ()
    for segment in (assignment.first, max(0, assignment.first - MENDING)):
        if segment < len(seeks) and (seek := seeks[segment]) is not None:
            yield seek
    yield FROM_THE_START


class _Work:
    """The attempts at one piece: what an earlier one delivered stays."""

    def __init__(self, assignment: Assignment, deliver: Deliver, check: Callable[[], None], threads: int) -> None:
        self.assignment, self.deliver, self.check, self.threads = assignment, deliver, check, threads
        self.audio = assignment.plan.audio if assignment.kind == "audio" else None
        self.timeline = self.audio.timeline if self.audio else assignment.plan.timeline
        self.there = dict.fromkeys(assignment.renditions, assignment.first)  # what is to be made next
        self.undecoded = 0

    def low_latency(self) -> None:
        """Make the first segment of the rungs that a player begins with before all else.

        Whatever is wrong with it, the attempt that follows meets it again.
        """
        lead = {rung.name for rung in self.assignment.rungs if rung.leads} & self.there.keys()
        if lead and len(lead) < len(self.there):
            self.attempt(None, lead, self.assignment.first)

    def attempt(
        self, mend: float | None, names: Collection[str] = (), last: int | None = None
    ) -> FfmpegError | Incomplete | None:
        """Make what is missing (names: only of these; last: only so far).

        Returns what was wrong with the source where it showed too little.
        """
        last, early = self.assignment.last if last is None else last, self.audio is not None
        tracks = {
            name: Segments(self.timeline, first, last, early)
            for name, first in self.there.items()
            if first <= last and name in (names or self.there)
        }
        if not tracks:
            return None
        try:
            self._run(tracks, mend)
            for name, track in tracks.items():
                for index, data in track.finish():
                    self._hand_on(name, index, data)
        except Killed as error:
            raise EncodeError(str(error)) from error
        except BrokenBoxes as error:
            raise EncodeError(str(error)) from error
        except (FfmpegError, Incomplete) as error:
            return error
        return None

    def _run(self, tracks: dict[str, Segments], mend: float | None) -> None:
        with ExitStack() as stack:
            readers, writers = _pipes(stack, list(tracks))
            try:
                process = stack.enter_context(self._start(tracks, writers, mend))
            finally:
                for writer in writers.values():
                    os.close(writer)
            _gather(readers, tracks, self._hand_on, self.check)
            process.finish(ENDING)
            self.undecoded = process.undecoded

    def _start(self, tracks: dict[str, Segments], pipes: dict[str, int], mend: float | None) -> Running:
        firsts = {name: track.first for name, track in tracks.items()}
        first, last = min(firsts.values()), max(track.last for track in tracks.values())
        arguments = self._arguments(pipes, (first, last), firsts, mend)
        begin = 0 if mend == FROM_THE_START else self.timeline.starts[first]
        limits = Limits(cpu=START_UP + EACH_FRAME * (self.timeline.bounds(last)[1] - begin))
        return Running(arguments, pipes.values(), nice=self.audio is not None, limits=limits)

    def _arguments(
        self, pipes: dict[str, int], piece: tuple[int, int], firsts: dict[str, int], mend: float | None
    ) -> list[str]:
        plan, source = self.assignment.plan, self.assignment.source
        if self.audio:
            if mend is not None and not self.audio.copied:
                if commands.is_file(source):  # else whoever serves it tells that it is away
                    Path(source).open("rb").close()  # silence stands for broken sound, not for a storage that is away
                return commands.silence_arguments(self.audio, piece, pipes["audio"])
            return commands.audio_arguments(plan, source, piece, pipes["audio"], self.threads)
        return commands.video_arguments(plan, source, piece, pipes, self.threads, mend, firsts)

    def _hand_on(self, name: str, index: int, data: bytes) -> None:
        self.deliver(name, index, data)
        if index != INIT:
            self.there[name] = index + 1

    def warning(self, reason: FfmpegError | Incomplete | None) -> tuple[str, ...]:
        """What the editor should know of the first attempt; nothing of a few pictures."""
        missing = reason.missing if isinstance(reason, Incomplete) else self.undecoded
        if missing * self.timeline.unit < NOTICEABLE and not isinstance(reason, FfmpegError):
            return ()
        index = self.assignment.first if reason is None else min(self.there.values())
        start = int(self.timeline.starts[min(index, self.assignment.last)] * self.timeline.unit)
        what = "Some of its sound cannot be decoded" if self.audio else "Pictures are missing, and others stand"
        return (f"The file is damaged. {what} from {start // 60}:{start % 60:02} on: look whether that will do.",)


def _pipes(stack: ExitStack, names: list[str]) -> tuple[dict[str, int], dict[str, int]]:
    """A pipe for each rendition: the ends that we read, and those that ffmpeg writes."""
    readers, writers = {}, {}
    for name in names:
        readers[name], writers[name] = os.pipe()
        stack.callback(os.close, readers[name])
        fcntl.fcntl(readers[name], fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    return readers, writers


def _gather(readers: dict[str, int], tracks: dict[str, Segments], deliver: Deliver, check: Callable[[], None]) -> None:
    """Hand on what the pipes bring until all are closed. A slow delivery holds the encoder back."""
    with selectors.DefaultSelector() as selector:
        for name, reader in readers.items():
            selector.register(reader, selectors.EVENT_READ, (name, FragmentReader()))
        heard = time.monotonic()
        while selector.get_map():
            check()
            for key, _ in selector.select(TICK):
                heard = time.monotonic()
                if not _read(key, tracks, deliver):
                    selector.unregister(key.fileobj)
            if time.monotonic() - heard > STALLED:
                raise EncodeError(f"ffmpeg wrote nothing for {STALLED} s")


def _read(key: selectors.SelectorKey, tracks: dict[str, Segments], deliver: Deliver) -> bool:
    """Take what one pipe holds; False at its end."""
    name, fragments = key.data
    data = os.read(key.fd, PIPE_SIZE)
    if not data:
        fragments.close()
    for fragment, content in fragments.feed(data):
        if fragment is None:
            # An encoder that gets no pictures writes an init segment of its own, which is not the rendition's.
            tracks[name].scale, tracks[name].init = timescale(content), content
        else:
            if init := tracks[name].take_init():
                deliver(name, INIT, init)
            for index, segment in tracks[name].add(fragment, content):
                deliver(name, index, segment)
    return bool(data)
