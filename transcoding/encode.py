"""One piece of a video: ffmpeg's fragments, read from its pipes and handed on as whole segments."""

import fcntl
import os
import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction

from transcoding import commands
from transcoding.boxes import BrokenBoxes, Fragment, FragmentReader, timescale
from transcoding.contract import INIT, Assignment
from transcoding.ffmpeg import FfmpegError, Running
from transcoding.plan import Timeline

Deliver = Callable[[str, int, bytes], None]

PIPE_SIZE = 1 << 20  # bytes; ffmpeg need not wait for us at every 64 KiB
TICK = 0.5  # seconds between looks at whether to go on
STALLED = 600  # seconds without a fragment before an encoder counts as hanging
ENDING = 30  # seconds that ffmpeg may take to end after closing its pipes


class EncodeError(Exception):
    """The piece could not be made; the message says why, with the end of ffmpeg's log."""


@dataclass
class Segments:
    """Gathers one rendition's fragments into the plan's segments, first to last inclusive."""

    timeline: Timeline
    first: int
    last: int
    scale: int = 0
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
        if start != self.timeline.starts[self.index] + self.count:
            raise EncodeError(f"a fragment begins at {start}, not at {self.timeline.starts[self.index] + self.count}")
        self.parts.append(data)
        self.count += fragment.samples
        if self.count > self.timeline.length(self.index):
            raise EncodeError(f"segment {self.index} has no keyframe at its end")
        if self.count == self.timeline.length(self.index):
            yield self._close()

    def finish(self) -> Iterator[tuple[int, bytes]]:
        """The end of the stream: only the very last segment of a track may be shorter than planned."""
        if self.index > self.last:
            return
        if not self.parts or self.index + 1 < len(self.timeline):
            raise EncodeError(
                f"the source ended {self.timeline.length(self.index) - self.count} frames before the end of "
                f"segment {self.index}"
            )
        yield self._close()

    def _close(self) -> tuple[int, bytes]:
        done = self.index, b"".join(self.parts)
        self.index, self.count, self.parts = self.index + 1, 0, []
        return done


def encode(assignment: Assignment, deliver: Deliver, check: Callable[[], None], threads: int = 0) -> None:
    """Make the piece.

    deliver gets each rendition's init segment (as INIT) and whole segments, in order, as they are ready; check is
    called at least every second and stops the work by raising. Raises EncodeError where ffmpeg fails or what it
    wrote is not what the plan says.
    """
    audio = assignment.plan.audio if assignment.kind == "audio" else None
    names = ["audio"] if audio else [rung.name for rung in assignment.plan.rungs]
    timeline = audio.timeline if audio else assignment.plan.timeline
    tracks = {name: Segments(timeline, assignment.first, assignment.last) for name in names}
    try:
        with ExitStack() as stack:
            readers, writers = _pipes(stack, names)
            arguments = _arguments(assignment, writers, threads)
            process = stack.enter_context(Running(arguments, writers.values(), nice=audio is not None))
            for writer in writers.values():
                os.close(writer)
            _gather(readers, tracks, deliver, check)
            process.finish(ENDING)
        for name, track in tracks.items():
            for index, data in track.finish():
                deliver(name, index, data)
    except (FfmpegError, BrokenBoxes) as error:
        raise EncodeError(str(error)) from error


def _arguments(assignment: Assignment, pipes: dict[str, int], threads: int) -> list[str]:
    plan, source = assignment.plan, assignment.source
    if assignment.kind == "audio" and plan.audio:
        return commands.audio_arguments(plan.audio, source, pipes["audio"])
    return commands.video_arguments(plan, source, (assignment.first, assignment.last), pipes, threads)


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
            tracks[name].scale = timescale(content)
            deliver(name, INIT, content)
        else:
            for index, segment in tracks[name].add(fragment, content):
                deliver(name, index, segment)
    return bool(data)
