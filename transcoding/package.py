"""A video's package on disk: storing its files whole, and reading back what is there."""

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from transcoding import boxes
from transcoding.boxes import Fragment

UNFINISHED = ".part"


def segment_name(index: int) -> str:
    return f"{index:05}.m4s"


def caption_name(index: int) -> str:
    return f"{index:05}.vtt"


def caption_languages(package: Path) -> list[str]:
    """The languages whose captions are there, from the first segment to the playlist, which is stored last."""
    return sorted(playlist.parent.name for playlist in (package / "captions").glob("[a-z]*/index.m3u8"))


def store(path: Path, data: bytes, *, replace: bool = True) -> bool:
    """Write a file so that it appears under its name only when it is whole.

    With replace=False a file that is already there stays. Returns whether this call put the file there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            part.replace(path)
            return True
        with suppress(FileExistsError):
            os.link(part, path)
            return True
        return False
    finally:
        part.unlink(missing_ok=True)


def tidy(package: Path) -> None:
    """Remove what a killed worker left half written, and make the package's names durable."""
    if not package.is_dir():
        return
    for part in package.rglob(f".*{UNFINISHED}"):
        part.unlink(missing_ok=True)
    for folder in (package, *(entry for entry in package.iterdir() if entry.is_dir())):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_segments(rendition: Path) -> None:
    """Take away what an encoder made; the playlist, which is planned, stays."""
    for path in (*rendition.glob("*.m4s"), rendition / "init.mp4"):
        path.unlink(missing_ok=True)


def segments_there(rendition: Path) -> set[int]:
    """The numbers of the segments that are there; a file with a segment's name is whole."""
    try:
        names = os.listdir(rendition)  # noqa: PTH208 - names only, thousands of them
    except FileNotFoundError:
        return set()
    return {int(name[:5]) for name in names if name.endswith(".m4s") and name[:5].isdigit()}


@dataclass(frozen=True)
class StoredSegment:
    """One segment file; times in ticks of its rendition's timescale."""

    name: str
    size: int
    fragments: tuple[Fragment, ...]

    @property
    def start(self) -> int:
        return self.fragments[0].start

    @property
    def ticks(self) -> int:
        return sum(fragment.duration for fragment in self.fragments)


@dataclass(frozen=True)
class Rendition:
    """What one folder of the package holds: init segment and segments in order, without gaps."""

    name: str
    codec: str
    size: tuple[int, int] | None  # pixels; None for sound
    timescale: int
    segments: tuple[StoredSegment, ...]

    def seconds(self) -> list[Fraction]:
        """The duration of each segment."""
        return [Fraction(segment.ticks, self.timescale) for segment in self.segments]

    @property
    def duration(self) -> Fraction:
        return sum(self.seconds(), Fraction(0))

    @property
    def rate(self) -> Fraction:
        """Samples a second: of a picture, its frames."""
        samples = sum(fragment.samples for segment in self.segments for fragment in segment.fragments)
        return samples / self.duration

    @property
    def bitrate(self) -> int:
        """Average, in bit/s."""
        return round(8 * sum(segment.size for segment in self.segments) / self.duration)


def read_rendition(folder: Path) -> Rendition:
    """Read a rendition by its boxes' headers; raises BrokenBoxes or FileNotFoundError."""
    init = (folder / "init.mp4").read_bytes()
    codec = boxes.codec(init)
    segments = []
    for index in sorted(segments_there(folder)):
        path = folder / segment_name(index)
        try:
            fragments = tuple(boxes.scan_fragments(path))
        except boxes.BrokenBoxes as error:
            raise boxes.BrokenBoxes(f"{folder.name}/{path.name} {error}") from error
        if not fragments:
            raise boxes.BrokenBoxes(f"{folder.name}/{path.name} holds nothing")
        segments.append(StoredSegment(path.name, path.stat().st_size, fragments))
    size = boxes.size(init) if codec.startswith("avc1") else None
    return Rendition(folder.name, codec, size, boxes.timescale(init), tuple(segments))
