"""Renditions: each is one folder of a package. Their keys are made and parsed here, and nowhere else. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from fractions import Fraction
from typing import Any, ClassVar, Self

from transcoding.engine.timeline import Timeline

LONGEST_KEY = 10  # characters; `quality_progress.quality` holds no more, and captions have no row there
DESCRIBES_VIDEO = "public.accessibility.describes-video"
COMMENTARY = "commentary"
LEAD = 720  # pixels of the shorter side; players begin with a rendition of this size or a smaller one

# Regular expressions of keys, without groups and without anchors.
VIDEO_KEY = r"[0-9]{1,4}p(?:-[a-z0-9]{1,4})?"
AUDIO_KEY = r"audio(?:-(?:[2-9]|[1-9][0-9]))?"
CAPTIONS_KEY = r"captions-(?:[1-9]|[1-9][0-9])"
MEDIA_KEY = rf"(?:{AUDIO_KEY}|{VIDEO_KEY})"
KEY = rf"(?:{MEDIA_KEY}|{CAPTIONS_KEY})"
_PARTS = re.compile(
    r"(?P<height>\d{1,4})p(?:-(?P<suffix>[a-z0-9]{1,4}))?|(?P<track>audio|captions)(?:-(?P<number>\d+))?"
)


NO_SEGMENTS = Timeline(Fraction(1), (), 0)


class Kind(StrEnum):
    """What a folder of a package is of. Captions are no part of a plan: their tracks come and go with their rows."""

    VIDEO = "video"
    AUDIO = "audio"
    SUBTITLES = "subtitles"


@dataclass(frozen=True)
class Key:
    """The name of a rendition's folder, in its parts.

    Video: the height and the suffix of its codec (none for H.264). Others: the number of the track, from 1.
    """

    kind: Kind
    number: int
    suffix: str = ""

    def __str__(self) -> str:
        if self.kind == Kind.VIDEO:
            return f"{self.number}p-{self.suffix}" if self.suffix else f"{self.number}p"
        if self.kind == Kind.AUDIO:
            return f"audio-{self.number}" if self.number > 1 else "audio"
        return f"captions-{self.number}"

    @classmethod
    def parse(cls, folder: str) -> Self:
        """Return the parts of a folder's name; raises ValueError where it is not the name of a rendition."""
        found = _PARTS.fullmatch(folder)
        if found is None or not re.fullmatch(KEY, folder):
            raise ValueError(f"{folder!r} is not the name of a rendition")
        if found["height"]:
            return cls(Kind.VIDEO, int(found["height"]), found["suffix"] or "")
        return cls(Kind.AUDIO if found["track"] == "audio" else Kind.SUBTITLES, int(found["number"] or 1))


def display_order(folder: str) -> tuple[int, int, str]:
    """Return what sorts folder names for people: video from the highest, then audio, subtitles and other folders."""
    try:
        key = Key.parse(folder)
    except ValueError:
        return len(Kind), 0, folder
    return list(Kind).index(key.kind), -key.number if key.kind == Kind.VIDEO else key.number, key.suffix


@dataclass(frozen=True)
class Rendition:
    """One encoded or copied version of a track.

    codec is a name of the table of codecs. The renditions of one kind and tier are made together; tier 0 comes first.
    bitrate is the cap in kbit/s. arguments (of ffmpeg's encoder) and filters fix its bytes, whatever the defaults of
    the release are that makes it; a copied rendition has none.
    """

    kind: ClassVar[Kind]

    key: str
    codec: str
    tier: int = 0
    copied: bool = False
    bitrate: int = 0
    arguments: tuple[str, ...] = ()
    filters: str = ""

    def __post_init__(self) -> None:
        if Key.parse(self.key).kind != self.kind or len(self.key) > LONGEST_KEY:
            raise ValueError(f"{self.key!r} is not the key of a rendition of {self.kind}")

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "Rendition":
        """Read what a plan holds of a rendition; keys that are not known are ignored."""
        cls = _CLASSES[Kind(data["kind"])]
        known = {field.name: data[field.name] for field in fields(cls) if field.name in data}
        known["arguments"] = tuple(known["arguments"])
        if "timeline" in known:
            known |= {"timeline": Timeline.from_json(known["timeline"]), "zero": Fraction(known["zero"])}
        return cls(**known)


@dataclass(frozen=True)
class VideoRendition(Rendition):
    """Width and height are in pixels, even; the pixels are square.

    limit: the average in kbit/s that it may have, where the source has less than the cap; else 0.
    """

    kind = Kind.VIDEO

    width: int = 0
    height: int = 0
    limit: int = 0

    @property
    def leads(self) -> bool:
        """Whether it is made before the others for a waiting viewer: players begin with it, or it costs nothing."""
        return self.copied or min(self.width, self.height) <= LEAD


@dataclass(frozen=True)
class AudioRendition(Rendition):
    """stream is the number of the source's stream, zero the first picture's time in seconds, as the container counts.

    right: the stream of the right channel, where each channel is a stream of its own. search: how many bytes of the
    source are read to find the streams; 0: as many as ffmpeg reads of every source. finish: filters for the whole
    track, after its channels and its rate are right. steady: those of the source never change. role is a
    characteristic of HLS, such as DESCRIBES_VIDEO, or COMMENTARY, which has none. hidden: made and stored, but not
    offered. The tier is the number of the rendition among those of audio, from 0: each is made on its own.
    """

    kind = Kind.AUDIO

    stream: int = 0
    sample_rate: int = 48_000
    zero: Fraction = Fraction(0)
    timeline: Timeline = NO_SEGMENTS
    language: str = "und"
    name: str = ""
    role: str = ""
    default: bool = False
    hidden: bool = False
    right: int | None = None
    search: int = 0
    finish: str = ""
    steady: bool = False


_CLASSES: dict[Kind, type[Rendition]] = {cls.kind: cls for cls in (VideoRendition, AudioRendition)}
