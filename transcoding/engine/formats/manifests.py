"""Parsing of HLS playlists, as far as their verification needs it. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=(?:"([^"]*)"|([^",]*))(?:,|$)')
_RANGE = re.compile(r"(\d{1,15})@(\d{1,15})")
NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,15})?")

Attributes = dict[str, str]


@dataclass(frozen=True)
class Entry:
    """A segment of a media playlist: its duration in seconds, and its (length, offset) in bytes; None if not stated."""

    uri: str
    seconds: Fraction | None
    byte_range: tuple[int, int] | None = None


@dataclass(frozen=True)
class Manifest:
    """A parsed playlist. tags maps each name, without `#`, to the values of all its occurrences.

    variants are the attributes of the STREAM-INF tags of a master playlist, with the URI on the next line as `URI`.
    first and last are the first and the last line.
    """

    first: str
    tags: dict[str, list[str]]
    entries: tuple[Entry, ...]
    variants: tuple[Attributes, ...]
    last: str

    def value(self, tag: str) -> str | None:
        """Return the value of a tag that occurs exactly once, else None."""
        values = self.tags.get(tag, [])
        return values[0] if len(values) == 1 else None

    def attributes(self, tag: str) -> list[Attributes]:
        """Return the attributes of each occurrence of a tag."""
        return [attributes(value) for value in self.tags.get(tag, [])]

    def addresses(self) -> Iterator[str]:
        """Yield the URI of every file that the playlist names, each once."""
        tags = ("EXT-X-MAP", "EXT-X-MEDIA", "EXT-X-I-FRAME-STREAM-INF")
        named = chain(self.variants, *(self.attributes(tag) for tag in tags))
        yield from dict.fromkeys([*(each["URI"] for each in named if "URI" in each), *(e.uri for e in self.entries)])


def attributes(text: str) -> Attributes:
    """Return an attribute list such as `A=1,B="x"` as a dictionary, without the quotes."""
    return {name: quoted or plain for name, quoted, plain in _ATTRIBUTE.findall(text)}


def read_manifest(text: str) -> Manifest:
    """Parse a playlist. No text raises an error; the verification finds what does not follow the syntax."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    tags: dict[str, list[str]] = {}
    entries: list[Entry] = []
    variants: list[Attributes] = []
    pending: dict[str, str] = {}
    for line in lines:
        if line.startswith("#"):
            name, _, value = line[1:].partition(":")
            tags.setdefault(name, []).append(value)
            pending[name] = value
        elif "EXT-X-STREAM-INF" in pending:
            variants.append({**attributes(pending["EXT-X-STREAM-INF"]), "URI": line})
            pending = {}
        else:
            entries.append(_entry(line, pending))
            pending = {}
    return Manifest(lines[0] if lines else "", tags, tuple(entries), tuple(variants), lines[-1] if lines else "")


def _entry(uri: str, pending: dict[str, str]) -> Entry:
    byte_range = _RANGE.fullmatch(pending.get("EXT-X-BYTERANGE", ""))
    length = pending.get("EXTINF", "").partition(",")[0]
    return Entry(
        uri,
        Fraction(length) if NUMBER.fullmatch(length) else None,
        (int(byte_range[1]), int(byte_range[2])) if byte_range else None,
    )
