"""What a source contains beside what is encoded of it, and what becomes of each stream. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from transcoding.engine.formats import characters

CAPTIONS = "captions"  # the kind of captions within a picture stream (CEA-608 and CEA-708)
SUBTITLES = "subtitles"
MAX_CHAPTERS = 200  # an editor's form has them all
TITLE_LENGTH = 255  # characters


@dataclass(frozen=True)
class SourceStream:
    """One stream of a source. number is the container's; reason is a sentence that says what becomes of it, and why."""

    number: int
    kind: str
    codec: str
    language: str = "und"
    title: str = ""
    taken: bool = False
    reason: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the value that is stored in data; unknown keys are ignored."""
        return cls(**{field.name: data[field.name] for field in fields(cls) if field.name in data})

    @property
    def is_text(self) -> bool:
        """Whether it becomes a caption track."""
        return self.taken and self.kind in (CAPTIONS, SUBTITLES)


@dataclass(frozen=True)
class ChapterMark:
    """The beginning of a chapter in seconds of the video, and its title."""

    start: float
    title: str


def chapters_within(listed: Sequence[tuple[float, str]], duration: float) -> tuple[tuple[ChapterMark, ...], str]:
    """Return chapters of a video in order, each start once, and a sentence about those that are left out.

    listed has the start of each in seconds of the video, and its title.
    """
    within = {round(max(start, 0.0), 3): title for start, title in sorted(listed) if start < duration}
    found = tuple(
        ChapterMark(start, characters.one_line(title, TITLE_LENGTH) or f"Chapter {number}")
        for number, (start, title) in enumerate(within.items(), 1)
    )
    beyond = sum(start >= duration for start, _ in listed)
    return found[:MAX_CHAPTERS], " ".join(_left_out(beyond, len(found)))


def _left_out(beyond: int, number: int) -> Iterator[str]:
    if beyond:
        number_of, were = ("1 chapter", "was") if beyond == 1 else (f"{beyond} chapters", "were")
        yield f"{number_of} of the file after the end of the video {were} left out."
    if number > MAX_CHAPTERS:
        yield f"The file has {number} chapters; the first {MAX_CHAPTERS} were taken."
