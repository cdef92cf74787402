"""One chunk of a video: ffmpeg's fragments, read from its pipes and delivered as whole segments."""

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
from transcoding.engine.ffmpeg.audio import audio_arguments, silence_arguments
from transcoding.engine.ffmpeg.inputs import is_file
from transcoding.engine.ffmpeg.processes import FfmpegError, Killed, Limits, Running
from transcoding.engine.ffmpeg.video import video_arguments
from transcoding.engine.formats.boxes import BrokenBoxes, Fragment, FragmentReader, timescale
from transcoding.engine.renditions import AudioRendition, VideoRendition
from transcoding.engine.timeline import Timeline

Deliver = Callable[[str, int, bytes], None]

PIPE_SIZE = 1 << 20  # bytes; ffmpeg need not wait for us at every 64 KiB
TICK = 0.5  # seconds between looks at whether to go on
STALLED = 600  # seconds without a fragment before an encoder counts as hanging
ENDING = 30  # seconds that ffmpeg may take to end after closing its pipes
START_UP, EACH_FRAME = 1800, 10  # seconds of processor time, for a chunk and for each of its frames
REREAD_SEGMENTS = 10  # further back, where the keyframe before a chunk is damaged
FROM_THE_START = -1.0
UNDECODABLE = "some of the audio that was to be copied cannot be decoded"
NOTICEABLE = Fraction(1, 2)  # seconds of missing pictures


class EncodeError(Exception):
    """The chunk could not be made; the message says why, with the end of ffmpeg's log."""


class Incomplete(EncodeError):
    """The source has less than the plan says: at least so many units are missing."""

    def __init__(self, sentence: str, missing: int) -> None:
        super().__init__(sentence)
        self.missing = missing


@dataclass
class Segments:
    """Collects one rendition's fragments into the plan's segments, first to last inclusive.

    may_end_early: the very last segment of the track may be shorter than planned, as copied audio is. counts_time: a
    sample may last for several frames of the timeline.
    """

    timeline: Timeline
    first: int
    last: int
    may_end_early: bool = False
    counts_time: bool = False
    scale: int = 0
    init: bytes = b""
    index: int = 0
    count: int = 0
    parts: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.index = self.first

    def add(self, fragment: Fragment, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Take the next fragment; yield the segment that it completes as (number, bytes)."""
        start = int(Fraction(fragment.start, self.scale) / self.timeline.unit)
        if not self.first <= self.timeline.index_of(start) <= self.last:
            return  # a copied rendition starts a GOP early and runs past the end
        expected = self.timeline.starts[self.index] + self.count
        if start != expected:
            raise Incomplete(f"a fragment begins at frame {start}, not at frame {expected}", start - expected)
        self.parts.append(data)
        frames = round(Fraction(fragment.duration, self.scale) / self.timeline.unit)
        self.count += frames if self.counts_time else fragment.samples
        if self.count > self.timeline.length(self.index):
            raise EncodeError(f"segment {self.index} has no keyframe at its end")
        if self.count == self.timeline.length(self.index):
            yield self._close()

    def take_init(self) -> bytes:
        """Return the init segment, once."""
        init, self.init = self.init, b""
        return init

    def finish(self) -> Iterator[tuple[int, bytes]]:
        """End the stream; raises Incomplete where it ended too soon."""
        if self.index > self.last:
            return
        if not (self.parts and self.may_end_early and self.index + 1 == len(self.timeline)):
            short = self.timeline.length(self.index) - self.count
            missing = self.timeline.bounds(self.last)[1] - self.timeline.starts[self.index] - self.count
            frames = "1 frame" if short == 1 else f"{short} frames"
            raise Incomplete(f"the source ended {frames} before the end of segment {self.index}", missing)
        yield self._close()

    def _close(self) -> tuple[int, bytes]:
        done = self.index, b"".join(self.parts)
        self.index, self.count, self.parts = self.index + 1, 0, []
        return done


def encode(assignment: Assignment, deliver: Deliver, check: Callable[[], None], threads: int = 0) -> tuple[str, ...]:
    """Make the chunk; return sentences for the editor about what could not be decoded.

    deliver gets each rendition's init segment (as INIT) and whole segments, in order, as they are ready; check is
    called at least every second and stops the work by raising. Where a damaged source has less than the plan says,
    the missing segments are made once more, with the nearest picture held or in silence. Raises EncodeError where
    ffmpeg fails or its output is not what the plan says.
    """
    work = _Work(assignment, deliver, check, threads)
    if assignment.urgent:
        work.low_latency()
    reason = work.attempt(None)
    warning = work.warning(reason)
    if reason is None:
        return warning
    for reread_from in dict.fromkeys(_places(assignment)):
        if work.attempt(reread_from) is None:
            return warning
    raise EncodeError(str(reason))


def _places(assignment: Assignment) -> Iterator[float]:
    """Yield where to read a damaged source from, in seconds, each further back than the one before."""
    seeks = assignment.plan.seeks if assignment.kind == "video" else ()
    for segment in (assignment.first, max(0, assignment.first - REREAD_SEGMENTS)):
        if segment < len(seeks) and (seek := seeks[segment]) is not None:
            yield seek
    yield FROM_THE_START


class _Work:
    """The attempts at one chunk: what an earlier one delivered stays."""

    def __init__(self, assignment: Assignment, deliver: Deliver, check: Callable[[], None], threads: int) -> None:
        self.assignment, self.deliver, self.check, self.threads = assignment, deliver, check, threads
        self.audio = next((each for each in assignment.renditions if isinstance(each, AudioRendition)), None)
        self.timeline = assignment.timeline
        self.following = dict.fromkeys(assignment.keys, assignment.first)  # the next segment of each rendition
        self.undecoded = 0

    def low_latency(self) -> None:
        """Make the first segment of the renditions that players begin with before all others.

        An error is not handled here: the attempt that follows meets it again.
        """
        video = (each for each in self.assignment.renditions if isinstance(each, VideoRendition))
        lead = {rendition.key for rendition in video if rendition.leads}
        if lead and len(lead) < len(self.following):
            self.attempt(None, lead, self.assignment.first)

    def attempt(
        self, reread_from: float | None, keys: Collection[str] = (), last: int | None = None
    ) -> FfmpegError | Incomplete | None:
        """Make the missing segments (keys: only of these renditions; last: only up to this one).

        Return what was wrong with the source where it has too little.
        """
        last, early = self.assignment.last if last is None else last, self.audio is not None
        counts_time = self.audio is None and self.assignment.plan.leaves_out
        tracks = {
            key: Segments(self.timeline, first, last, early, counts_time)
            for key, first in self.following.items()
            if first <= last and key in (keys or self.following)
        }
        if not tracks:
            return None
        try:
            self._run(tracks, reread_from)
            for key, track in tracks.items():
                for index, data in track.finish():
                    self._deliver(key, index, data)
        except Killed as error:
            raise EncodeError(str(error)) from error
        except BrokenBoxes as error:
            raise EncodeError(str(error)) from error
        except (FfmpegError, Incomplete) as error:
            return error
        return None

    def _run(self, tracks: dict[str, Segments], reread_from: float | None) -> None:
        with ExitStack() as stack:
            readers, writers = _pipes(stack, list(tracks))
            try:
                process = stack.enter_context(self._start(tracks, writers, reread_from))
            finally:
                for writer in writers.values():
                    os.close(writer)
            _gather(readers, tracks, self._deliver, self.check)
            process.finish(ENDING)
            self.undecoded = process.undecoded
            if self.undecoded and self.audio and self.audio.copied:
                raise EncodeError(UNDECODABLE)  # the site has it encoded instead, whatever of it was delivered

    def _start(self, tracks: dict[str, Segments], pipes: dict[str, int], reread_from: float | None) -> Running:
        firsts = {key: track.first for key, track in tracks.items()}
        first, last = min(firsts.values()), max(track.last for track in tracks.values())
        arguments = self._arguments(pipes, (first, last), firsts, reread_from)
        begin = 0 if reread_from == FROM_THE_START else self.timeline.starts[first]
        limits = Limits(cpu=START_UP + EACH_FRAME * (self.timeline.bounds(last)[1] - begin))
        return Running(arguments, pipes.values(), nice=self.audio is not None, limits=limits)

    def _arguments(
        self, pipes: dict[str, int], segments: tuple[int, int], firsts: dict[str, int], reread_from: float | None
    ) -> list[str]:
        plan, source = self.assignment.plan, self.assignment.source
        if self.audio:
            pipe = pipes[self.audio.key]
            if reread_from is not None and not self.audio.copied:
                if is_file(source):  # the server of any other source reports that it is not available
                    Path(source).open("rb").close()  # silence replaces broken sound, not a storage that is away
                return silence_arguments(self.audio, segments, pipe)
            return audio_arguments(plan, self.audio, source, segments, pipe, self.threads)
        return video_arguments(plan, source, segments, pipes, self.threads, reread_from, firsts)

    def _deliver(self, key: str, index: int, data: bytes) -> None:
        self.deliver(key, index, data)
        if index != INIT:
            self.following[key] = index + 1

    def warning(self, reason: FfmpegError | Incomplete | None) -> tuple[str, ...]:
        """Return what the editor should know of the first attempt; a few missing pictures are not mentioned."""
        missing = reason.missing if isinstance(reason, Incomplete) else self.undecoded
        is_little = missing <= 1 or missing * self.timeline.unit < NOTICEABLE
        if is_little and not isinstance(reason, FfmpegError):
            return ()
        index = self.assignment.first if reason is None else min(self.following.values())
        start = int(self.timeline.starts[min(index, self.assignment.last)] * self.timeline.unit)
        what = "Some of its audio cannot be decoded" if self.audio else "Pictures are missing and were replaced"
        return (
            f"The file is damaged. {what} from {start // 60}:{start % 60:02} on. Check whether the result will do.",
        )


def _pipes(stack: ExitStack, keys: list[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Open a pipe for each rendition; return the ends to read and the ends that ffmpeg writes."""
    readers, writers = {}, {}
    for key in keys:
        readers[key], writers[key] = os.pipe()
        stack.callback(os.close, readers[key])
        fcntl.fcntl(readers[key], fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    return readers, writers


def _gather(readers: dict[str, int], tracks: dict[str, Segments], deliver: Deliver, check: Callable[[], None]) -> None:
    """Deliver what the pipes contain until all are closed. A slow delivery slows the encoder down."""
    with selectors.DefaultSelector() as selector:
        for name, reader in readers.items():
            selector.register(reader, selectors.EVENT_READ, (name, FragmentReader()))
        last_output = time.monotonic()
        while selector.get_map():
            check()
            for key, _ in selector.select(TICK):
                last_output = time.monotonic()
                if not _read(key, tracks, deliver):
                    selector.unregister(key.fileobj)
            if time.monotonic() - last_output > STALLED:
                raise EncodeError(f"ffmpeg wrote nothing for {STALLED} s")


def _read(key: selectors.SelectorKey, tracks: dict[str, Segments], deliver: Deliver) -> bool:
    """Read one pipe; return False at its end."""
    name, fragments = key.data
    data = os.read(key.fd, PIPE_SIZE)
    if not data:
        fragments.close()
    for fragment, content in fragments.feed(data):
        if fragment is None:
            # An encoder that gets no pictures writes an init segment that is not the rendition's.
            tracks[name].scale, tracks[name].init = timescale(content), content
        else:
            if init := tracks[name].take_init():
                deliver(name, INIT, init)
            for index, segment in tracks[name].add(fragment, content):
                deliver(name, index, segment)
    return bool(data)
