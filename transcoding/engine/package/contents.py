"""A video's package: the names of its files, and reading back what is stored."""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from transcoding.engine.codecs import table
from transcoding.engine.formats import boxes
from transcoding.engine.formats.boxes import Fragment
from transcoding.engine.package import files
from transcoding.engine.package.files import UNFINISHED
from transcoding.engine.renditions import CAPTIONS_KEY


def segment_name(index: int) -> str:
    return f"{index:05}.m4s"


def caption_name(index: int) -> str:
    return f"{index:05}.vtt"


def captions_folder(package: Path, key: str, language: str) -> str:
    """Return the folder of a caption track: its key, in packages of earlier releases `captions/<language>`.

    Empty where it has no complete files: the playlist is stored last.
    """
    folders = (key, f"captions/{language}")
    return next((folder for folder in folders if (package / folder / "index.m3u8").is_file()), "")


def caption_folders(package: Path) -> list[str]:
    """Return the folders of all caption tracks, complete or not."""
    return sorted(
        [name for name in files.names(package) if re.fullmatch(CAPTIONS_KEY, name)]
        + [f"captions/{name}" for name in files.names(package / "captions") if not name.endswith(".vtt")]
    )


def tidy(package: Path) -> None:
    """Remove files that a killed worker left half written, and make the package's names durable."""
    if not package.is_dir():
        return
    for part in package.rglob(f".*{UNFINISHED}"):
        part.unlink(missing_ok=True)
    files.sync(package)


def remove_segments(rendition: Path) -> None:
    """Delete what an encoder made; the planned playlist stays."""
    for path in (*rendition.glob("*.m4s"), rendition / "init.mp4"):
        path.unlink(missing_ok=True)


def segments_there(rendition: Path) -> set[int]:
    """Return the numbers of the stored segments; a file with a segment's name is whole."""
    return {int(name[:5]) for name in files.names(rendition) if name.endswith(".m4s") and name[:5].isdigit()}


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
class StoredRendition:
    """One folder of the package as it was read: init segment and segments in order, without gaps."""

    key: str
    codecs: str  # CODECS value
    size: tuple[int, int] | None  # pixels; None for audio
    timescale: int
    segments: tuple[StoredSegment, ...]

    def seconds(self) -> list[Fraction]:
        """Return the duration of each segment."""
        return [Fraction(segment.ticks, self.timescale) for segment in self.segments]

    @property
    def duration(self) -> Fraction:
        return sum(self.seconds(), Fraction(0))

    @property
    def rate(self) -> Fraction:
        """Samples a second: of video, its frames."""
        samples = sum(fragment.samples for segment in self.segments for fragment in segment.fragments)
        return samples / self.duration

    @property
    def bitrate(self) -> int:
        """Average, in bit/s."""
        return round(8 * sum(segment.size for segment in self.segments) / self.duration)


def read_rendition(folder: Path) -> StoredRendition:
    """Read a rendition by its boxes' headers; raises BrokenBoxes or FileNotFoundError."""
    init = (folder / "init.mp4").read_bytes()
    codecs, size = table.read_codecs(init)
    paths = [folder / segment_name(index) for index in sorted(segments_there(folder))]
    segments = tuple(files.over(folder, _read_segment, paths))
    return StoredRendition(folder.name, codecs, size, boxes.timescale(init), segments)


def _read_segment(path: Path) -> StoredSegment:
    try:
        fragments = tuple(boxes.scan_fragments(path))
    except boxes.BrokenBoxes as error:
        raise boxes.BrokenBoxes(f"{path.parent.name}/{path.name} {error}") from error
    if not fragments:
        raise boxes.BrokenBoxes(f"{path.parent.name}/{path.name} is empty")
    return StoredSegment(path.name, sum(fragment.size for fragment in fragments), fragments)
