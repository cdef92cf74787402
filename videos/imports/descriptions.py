"""What files beside a video say of it: `.json` with VLog's fields, `.info.json` of yt-dlp, `.nfo` of Kodi."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from transcoding.engine.formats.encodings import decoded
from videos.imports import details
from videos.imports.details import COLUMNS, Details, WrongDetails

SUFFIXES = (".info.json", ".json", ".nfo")
MAX_BYTES = 5 << 20  # yt-dlp lists every format of a video
DECLARATION = re.compile(r"<!(DOCTYPE|ENTITY)", re.IGNORECASE)
# Of yt-dlp, for the columns of VLog; the first that is given.
YT_DLP: Mapping[str, Sequence[str]] = {
    "title": ("title", "fulltitle"),
    "description": ("description",),
    "tags": ("tags",),
    "date": ("timestamp", "release_timestamp", "upload_date", "release_date"),
    "chapters": ("chapters",),
}
# Elements of Kodi, likewise.
KODI = {
    "title": ("title",),
    "description": ("plot", "outline"),
    "date": ("premiered", "aired", "releasedate", "dateadded"),
}


def is_one(name: str) -> bool:
    """Return whether a file of this name may describe a video."""
    return name.lower().endswith(SUFFIXES)


def read(paths: Sequence[Path]) -> tuple[Details, list[str]]:
    """Return what these files say of their video, and a sentence about each that cannot be used."""
    found, notes = Details(), []
    for path in sorted(paths, key=lambda path: path.name.lower().endswith(".nfo")):  # JSON says more
        try:
            found = found.over(_read(path))
        except (OSError, WrongDetails) as error:
            notes.append(f"{path.name} was not taken. {getattr(error, 'strerror', None) or error}")
    return found, notes


def _read(path: Path) -> Details:
    if path.stat().st_size > MAX_BYTES:
        raise WrongDetails(f"It is larger than {MAX_BYTES >> 20} MB.")
    data = path.read_bytes()
    if path.name.lower().endswith(".nfo"):
        return _of_kodi(decoded(data))
    values = as_json(data)
    if not isinstance(values, dict):
        raise WrongDetails("It must be a JSON object.")
    is_yt_dlp = path.name.lower().endswith(".info.json") or "extractor" in values or "webpage_url" in values
    return _of_yt_dlp(values) if is_yt_dlp else of_object(values)


def as_json(data: bytes) -> Any:
    """Return the content of a JSON file. Raises WrongDetails."""
    try:
        return json.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:
        raise WrongDetails("It is not JSON in UTF-8.") from error


def of_object(values: Mapping[str, Any]) -> Details:
    """Return the details in a JSON object with VLog's names. Raises WrongDetails, also for an unknown name."""
    if unknown := sorted(set(values) - {*COLUMNS, "chapters"}):
        raise WrongDetails(f"It has an unknown name {unknown[0]!r}; known are {', '.join(COLUMNS)}, chapters.")
    return details.of_values(values)


def _of_yt_dlp(values: Mapping[str, Any]) -> Details:
    known: dict[str, Any] = {}
    for name, theirs in YT_DLP.items():
        known[name] = next((values[each] for each in theirs if values.get(each)), None)
    known["title"] = str(known["title"] or "")[:255]
    known["description"] = str(known["description"] or "")[: details.MAX_DESCRIPTION]
    tags = known["tags"] if isinstance(known["tags"], list) else []
    known["tags"] = [each for each in tags if isinstance(each, str) and len(each) <= 50][: details.MAX_TAGS]
    return details.of_values(known)


def _of_kodi(text: str) -> Details:
    if DECLARATION.search(text):
        raise WrongDetails("It declares entities, which are not read.")
    try:
        root = ElementTree.fromstring(text.strip())  # noqa: S314 - without declarations, expat expands nothing
    except ElementTree.ParseError as error:
        raise WrongDetails("It is not XML as Kodi reads it.") from error
    values: dict[str, Any] = {}
    for name, theirs in KODI.items():
        found = (root.findtext(each) or "" for each in theirs)
        values[name] = next(filter(None, map(str.strip, found)), "")
    values["date"] = values["date"] or _year(root.findtext("year") or "")
    tags = [each.text or "" for kind in ("tag", "genre") for each in root.findall(kind)]
    values["tags"] = [each for each in tags if len(each) <= 50][: details.MAX_TAGS]
    return details.of_values(values)


def _year(text: str) -> str:
    return f"{text.strip()}-01-01" if re.fullmatch(r"(18|19|20)\d\d", text.strip()) else ""
