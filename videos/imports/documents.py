"""The documents of an export, read and checked: videos/exports/schema.json describes them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rest_framework import serializers

from videos.exports.documents import CATEGORIES, FORMAT, INDEX, PLAYLISTS, TAGS, VIDEO
from videos.imports.descriptions import as_json
from videos.imports.details import MAX_DESCRIPTION, WrongDetails
from videos.imports.folder import Entry, Refused, opened
from videos.models import PlaylistVisibility, TrackKind, TrackOrigin, TrackState, Visibility
from videos.models.tracks import LANGUAGE, MAX_NUMBER

MAX_BYTES = 100 << 20  # of one document
SLUG = r"^[-a-zA-Z0-9_]{1,255}\Z"
FILE = r"^[^./\\][^/\\]{0,254}\Z"
PICTURE = r"^pictures/[^/\\.][^/\\]{0,250}\Z"


class WrongExport(ValueError):
    """The folder has no export that can be read; the message says why."""


class Document(serializers.Serializer[Any]):
    """What every document and each part of one allows; unknown names are ignored, so that later exports are read."""


class Text(serializers.CharField):
    def __init__(self, most: int, **options: Any) -> None:
        super().__init__(max_length=most, allow_blank=True, trim_whitespace=False, **options)


def old_slugs() -> serializers.ListField:
    return serializers.ListField(child=serializers.RegexField(SLUG), max_length=1000)


class CategoryDocument(Document):
    slug = serializers.RegexField(SLUG, max_length=100)
    name = serializers.CharField(max_length=100)
    description = Text(MAX_DESCRIPTION)
    glossary = Text(400)
    position = serializers.IntegerField(allow_null=True, min_value=1, max_value=2**31 - 1)
    old_slugs = old_slugs()
    picture = serializers.RegexField(PICTURE, allow_blank=True)


class TagDocument(Document):
    slug = serializers.RegexField(SLUG, max_length=50)
    name = serializers.CharField(max_length=50)
    old_slugs = old_slugs()


class PlaylistDocument(Document):
    slug = serializers.RegexField(SLUG)
    title = serializers.CharField(max_length=255)
    description = Text(MAX_DESCRIPTION)
    visibility = serializers.ChoiceField(PlaylistVisibility.choices)
    created_at = serializers.DateTimeField()
    old_slugs = old_slugs()
    picture = serializers.RegexField(PICTURE, allow_blank=True)
    poster_video = serializers.CharField(max_length=255, allow_null=True)
    videos = serializers.ListField(child=serializers.CharField(max_length=255))


class OriginalDocument(Document):
    file = serializers.RegexField(FILE)
    size = serializers.IntegerField(min_value=1)
    sha256 = serializers.RegexField(r"^[0-9a-f]{64}\Z")


class PosterDocument(Document):
    file = serializers.RegexField(FILE)
    sha256 = serializers.RegexField(r"^[0-9a-f]{64}\Z")
    chosen = serializers.BooleanField()


class ChapterDocument(Document):
    start = serializers.FloatField(min_value=0, max_value=10**7)
    title = Text(255)
    from_file = serializers.BooleanField()


class TrackDocument(Document):
    number = serializers.IntegerField(min_value=1, max_value=MAX_NUMBER)
    language = serializers.RegexField(LANGUAGE, max_length=35)
    name = Text(100)
    kind = serializers.ChoiceField(TrackKind.choices)
    origin = serializers.ChoiceField(TrackOrigin.choices)
    state = serializers.ChoiceField(TrackState.choices)
    is_default = serializers.BooleanField()
    is_forced = serializers.BooleanField()
    edited = serializers.BooleanField()
    cues = serializers.RegexField(FILE)


class CueDocument(Document):
    start = serializers.FloatField(min_value=0, max_value=10**7)
    end = serializers.FloatField(min_value=0, max_value=10**7)
    text = Text(100_000)
    confidence = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    words = serializers.ListField(allow_null=True)
    edited = serializers.BooleanField()
    checked = serializers.BooleanField()

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        if values["end"] < values["start"]:
            raise serializers.ValidationError("A cue ends before it begins.")
        return values


class PlannedDocument(Document):
    at = serializers.DateTimeField()
    visibility = serializers.ChoiceField(Visibility.choices)


class VideoDocument(Document):
    slug = serializers.RegexField(SLUG)
    title = serializers.CharField(max_length=255, trim_whitespace=False)
    description = Text(10 * MAX_DESCRIPTION)
    old_slugs = old_slugs()
    category = serializers.CharField(max_length=100, allow_null=True)
    tags = serializers.ListField(child=serializers.CharField(max_length=50))
    visibility = serializers.ChoiceField(Visibility.choices)
    password_hash = serializers.CharField(max_length=128, required=False)
    planned = PlannedDocument(many=True)
    publish_early = serializers.BooleanField()
    downloads = serializers.BooleanField()
    source_name = Text(255)
    created_at = serializers.DateTimeField()
    published_at = serializers.DateTimeField(allow_null=True)
    featured_at = serializers.DateTimeField(allow_null=True)
    chapters = ChapterDocument(many=True)
    original = OriginalDocument()
    poster = PosterDocument(allow_null=True)
    captions = TrackDocument(many=True)


@dataclass
class Exported:
    """What an export contains: validated documents. videos: by the name of their folder."""

    root: Path
    categories: list[Mapping[str, Any]] = field(default_factory=list)
    tags: list[Mapping[str, Any]] = field(default_factory=list)
    playlists: list[Mapping[str, Any]] = field(default_factory=list)
    videos: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def is_export(root: Path) -> bool:
    return (root / INDEX).is_file()


def read(root: Path) -> Exported:
    """Return the content of an export. Raises WrongExport."""
    found = Exported(root)
    load(root, INDEX)
    found.categories = _rows(root, CATEGORIES, "categories", CategoryDocument)
    found.tags = _rows(root, TAGS, "tags", TagDocument)
    found.playlists = _rows(root, PLAYLISTS, "playlists", PlaylistDocument)
    for folder in _folders(root):
        found.videos[folder] = checked(
            f"videos/{folder}/{VIDEO}", VideoDocument, load(root, f"videos/{folder}/{VIDEO}")
        )
    if not found.videos:
        raise WrongExport(f"The export in {root} has no videos.")
    return found


def _folders(root: Path) -> Iterator[str]:
    """Yield the names of the videos' folders that an export has completed."""
    try:
        folders = sorted(path.name for path in (root / "videos").iterdir() if not path.is_symlink())
    except OSError as error:
        raise WrongExport(f"{root}/videos cannot be read: {error.strerror}.") from error
    yield from (name for name in folders if (root / "videos" / name / VIDEO).is_file())


def _rows(root: Path, name: str, key: str, form: type[Document]) -> list[Mapping[str, Any]]:
    if not (root / name).exists():
        return []
    rows = load(root, name).get(key)
    if not isinstance(rows, list):
        raise WrongExport(f"{name} must have a list named {key}.")
    return [checked(f"{name}, number {number}", form, row) for number, row in enumerate(rows, start=1)]


def load(root: Path, name: str) -> dict[str, Any]:
    """Return a document of an export. Raises WrongExport."""
    try:
        with opened(Entry(root / name, root, name)) as file:
            data = file.read(MAX_BYTES + 1)
        values = as_json(data) if len(data) <= MAX_BYTES else None
    except (Refused, WrongDetails, OSError) as error:
        raise WrongExport(f"{name} cannot be read. {error}") from error
    if not isinstance(values, dict):
        raise WrongExport(f"{name} is no JSON object, or has more than {MAX_BYTES >> 20} MB.")
    if values.get("format") != FORMAT:
        raise WrongExport(
            f"{name} has the format {values.get('format')!r}; this VLog reads {FORMAT}. Upgrade it first."
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
