"""The documents of an export, read and checked: videos/exports/schema.json describes them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from videos.exports.documents import CATEGORIES, FORMAT, INDEX, PLAYLISTS, SITE, TAGS, VIDEO, VIDEOS
from videos.imports.descriptions import as_json
from videos.imports.details import WrongDetails
from videos.imports.folder import Refused
from videos.imports.places import Place
from videos.imports.shapes import (
    CategoryDocument,
    Document,
    PlaylistDocument,
    SiteDocument,
    TagDocument,
    VideoDocument,
)

MAX_BYTES = 100 << 20  # of one document
FOLDER = re.compile(r"(?:videos|archive)/[-a-zA-Z0-9_]{1,255}")


class WrongExport(ValueError):
    """The folder has no export that can be read; the message says why."""


@dataclass
class Exported:
    """What an export contains: validated documents. videos: by the name of their folder."""

    place: Place
    is_complete: bool = True
    site: Mapping[str, Any] = field(default_factory=dict)
    categories: list[Mapping[str, Any]] = field(default_factory=list)
    tags: list[Mapping[str, Any]] = field(default_factory=list)
    playlists: list[Mapping[str, Any]] = field(default_factory=list)
    videos: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def is_export(place: Place) -> bool:
    """Return whether there is an export. Raises Refused."""
    return place.is_file(INDEX)


def read(place: Place) -> Exported:
    """Return the content of an export. Raises WrongExport."""
    index = load(place, INDEX)
    found = Exported(place, is_complete=index.get("complete") is not False)
    if place.is_file(SITE):
        found.site = checked(SITE, SiteDocument, load(place, SITE))
    found.categories = _rows(place, CATEGORIES, "categories", CategoryDocument)
    found.tags = _rows(place, TAGS, "tags", TagDocument)
    found.playlists = _rows(place, PLAYLISTS, "playlists", PlaylistDocument)
    for folder in _folders(place, index):
        name = f"{folder}/{VIDEO}"
        if place.is_file(name):  # the export of this one was not completed
            found.videos[folder] = checked(name, VideoDocument, load(place, name))
    if not found.videos and not found.site:
        raise WrongExport(f"The export in {place} has no videos.")
    return found


def _folders(place: Place, index: Mapping[str, Any]) -> Iterator[str]:
    """Yield the folders of the videos. Raises WrongExport.

    The index names them, because the folders of videos that were renamed or deleted stay. Format 1 has no such list.
    """
    if index["format"] == 1:
        yield from (f"{VIDEOS}/{name}" for name in _names(place))
        return
    names = index.get("videos")
    if not isinstance(names, list) or not all(isinstance(name, str) and FOLDER.fullmatch(name) for name in names):
        raise WrongExport(f"{INDEX} must have a list named videos, of folders such as videos/holiday.")
    yield from dict.fromkeys(names)


def _names(place: Place) -> list[str]:
    try:
        return place.folders(VIDEOS)
    except Refused as error:
        raise WrongExport(str(error)) from error


def _rows(place: Place, name: str, key: str, form: type[Document]) -> list[Mapping[str, Any]]:
    if not place.is_file(name):
        return []
    rows = load(place, name).get(key)
    if not isinstance(rows, list):
        raise WrongExport(f"{name} must have a list named {key}.")
    return [checked(f"{name}, number {number}", form, row) for number, row in enumerate(rows, start=1)]


def load(place: Place, name: str) -> dict[str, Any]:
    """Return a document of an export. Raises WrongExport."""
    try:
        data = place.read(name, MAX_BYTES + 1)
        values = as_json(data) if len(data) <= MAX_BYTES else None
    except (Refused, WrongDetails) as error:
        raise WrongExport(f"{name} cannot be read. {error}") from error
    if not isinstance(values, dict):
        raise WrongExport(f"{name} is no JSON object, or has more than {MAX_BYTES >> 20} MB.")
    if values.get("format") not in range(1, FORMAT + 1):
        raise WrongExport(
            f"{name} has the format {values.get('format')!r}, and this VLog reads 1 to {FORMAT}. Upgrade it first, if "
            "a later release has written the export."
        )
    return values


def checked(place: str, form: type[Document], values: Any) -> Mapping[str, Any]:
    """Return the valid values of a document. Raises WrongExport, which names the first mistake."""
    serializer = form(data=values)
    if serializer.is_valid():
        return dict(serializer.validated_data)
    name, reason = _first(serializer.errors)
    raise WrongExport(f"{place}: {name}: {reason}")


def _first(errors: Any) -> tuple[str, str]:
    """Return the name and the sentence of the first mistake, however deep it is."""
    name = ""
    while True:
        if isinstance(errors, dict) and errors:
            key, errors = next(iter(errors.items()))
            name = str(key) if not name or not str(key).isdigit() else name
        elif isinstance(errors, list) and errors:
            errors = next((each for each in errors if each), "It is invalid.")
        else:
            return name, str(errors)
