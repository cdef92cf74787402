"""What the documents of an export may contain: videos/exports/schema.json describes them for other programs."""

from typing import Any

from rest_framework import serializers

from transcoding.engine.renditions import AUDIO_KEY
from videos.imports.details import MAX_DESCRIPTION
from videos.models import (
    AudioRole,
    CaptionVersionState,
    PlaylistVisibility,
    TrackKind,
    TrackOrigin,
    TrackState,
    TranscriptionStatus,
    Visibility,
)
from videos.models.categories import GLOSSARY
from videos.models.own_pages import MAX_TEXT
from videos.models.tracks import LANGUAGE, MAX_NUMBER
from vlog.admin_settings import SiteForm

INTEGER = 2**31 - 1
SLUG = r"^[-a-zA-Z0-9_]{1,255}\Z"
FILE = r"^[^./\\][^/\\]{0,254}\Z"
PICTURE = r"^pictures/[^/\\.][^/\\]{0,250}\Z"


class Document(serializers.Serializer[Any]):
    """What every document and each part of one allows; unknown names are ignored, so that later exports are read."""


class Text(serializers.CharField):
    def __init__(self, most: int, **options: Any) -> None:
        super().__init__(max_length=most, allow_blank=True, trim_whitespace=False, **options)


def old_slugs() -> serializers.ListField:
    return serializers.ListField(child=serializers.RegexField(SLUG), max_length=1000)


def moment() -> serializers.DateTimeField:
    """Return the field of a time that format 1 does not have."""
    return serializers.DateTimeField(required=False, allow_null=True, default=None)


class PageDocument(Document):
    title = serializers.CharField(max_length=100)
    slug = serializers.RegexField(SLUG, max_length=100)
    text = Text(MAX_TEXT)
    in_footer = serializers.BooleanField()
    position = serializers.IntegerField(min_value=-INTEGER, max_value=INTEGER)


class SettingsDocument(Document):
    name = serializers.CharField(max_length=60)
    tagline = Text(200)
    accent = Text(7)
    footer_links = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField(max_length=500), min_length=2, max_length=2)
    )
    language = serializers.CharField(max_length=10)
    time_zone = serializers.CharField(max_length=64)
    logo = serializers.RegexField(PICTURE, allow_blank=True)

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """Apply the rules of the page on which administrators change these values."""
        form = SiteForm({**values, "footer_links": "\n".join(" ".join(link) for link in values["footer_links"])})
        if not form.is_valid():
            raise serializers.ValidationError({name: list(map(str, errors)) for name, errors in form.errors.items()})
        return values


class SiteDocument(Document):
    settings = SettingsDocument(allow_null=True)
    pages = PageDocument(many=True)


class CategoryDocument(Document):
    slug = serializers.RegexField(SLUG, max_length=100)
    name = serializers.CharField(max_length=100)
    description = Text(MAX_DESCRIPTION)
    glossary = Text(400)
    position = serializers.IntegerField(allow_null=True, min_value=1, max_value=INTEGER)
    created_at = moment()
    old_slugs = old_slugs()
    picture = serializers.RegexField(PICTURE, allow_blank=True)


class TagDocument(Document):
    slug = serializers.RegexField(SLUG, max_length=50)
    name = serializers.CharField(max_length=50)
    created_at = moment()
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


class VersionDocument(Document):
    number = serializers.IntegerField(min_value=1, max_value=INTEGER)
    state = serializers.ChoiceField(CaptionVersionState.choices)
    language = serializers.RegexField(LANGUAGE, max_length=35)
    origin = serializers.ChoiceField(TrackOrigin.choices)
    edited = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    created_by = Text(150)
    is_working = serializers.BooleanField()
    revision = serializers.IntegerField(min_value=1, max_value=INTEGER)
    updated_at = serializers.DateTimeField(allow_null=True)
    cues = serializers.RegexField(FILE)


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
    created_at = moment()
    cues = serializers.RegexField(FILE)
    versions = VersionDocument(many=True, required=False, default=list)


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
    password_hash = serializers.CharField(max_length=128, required=False)


class LinkDocument(Document):
    name = Text(100)
    key_hash = serializers.RegexField(r"^[0-9a-f]{64}\Z")
    key_prefix = serializers.CharField(max_length=8)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)


class AudioDocument(Document):
    rendition = serializers.RegexField(rf"^{AUDIO_KEY}\Z")
    language = serializers.RegexField(LANGUAGE, max_length=35)
    name = serializers.RegexField(r'^[^"\x00-\x1f\x7f]+\Z', max_length=100)
    role = serializers.ChoiceField(AudioRole.choices, allow_blank=True)
    is_default = serializers.BooleanField()
    hidden = serializers.BooleanField()
    position = serializers.IntegerField(min_value=0, max_value=INTEGER, required=False)


class TranscriptionDocument(Document):
    status = serializers.ChoiceField(TranscriptionStatus.choices)
    language = serializers.CharField(max_length=10)
    given_language = Text(10)
    glossary = Text(GLOSSARY)
    duration_seconds = serializers.FloatField(allow_null=True, min_value=0)
    word_count = serializers.IntegerField(allow_null=True, min_value=0, max_value=INTEGER)
    error_message = Text(10_000, allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    completed_at = serializers.DateTimeField(allow_null=True)
    text = Text(100 << 20, allow_null=True)


class FileVersionDocument(Document):
    number = serializers.IntegerField(min_value=1, max_value=INTEGER)
    is_current = serializers.BooleanField()
    source_name = Text(255)
    size = serializers.IntegerField(allow_null=True, min_value=0)
    created_by = Text(150)
    created_at = serializers.DateTimeField()
    replaced_at = serializers.DateTimeField(allow_null=True)


class ArchivedDocument(Document):
    at = serializers.DateTimeField()
    by = Text(150)


class VideoDocument(Document):
    slug = serializers.RegexField(SLUG)
    archived = ArchivedDocument(required=False, allow_null=True, default=None)
    title = serializers.CharField(max_length=255, trim_whitespace=False)
    description = Text(10 * MAX_DESCRIPTION)
    old_slugs = old_slugs()
    category = serializers.CharField(max_length=100, allow_null=True)
    tags = serializers.ListField(child=serializers.CharField(max_length=50))
    visibility = serializers.ChoiceField(Visibility.choices)
    password_hash = serializers.CharField(max_length=128, required=False)
    planned = PlannedDocument(many=True)
    share_links = LinkDocument(many=True, required=False, default=list)
    publish_early = serializers.BooleanField()
    downloads = serializers.BooleanField()
    source_name = Text(255)
    created_at = serializers.DateTimeField()
    published_at = serializers.DateTimeField(allow_null=True)
    featured_at = serializers.DateTimeField(allow_null=True)
    views = serializers.IntegerField(min_value=0, max_value=INTEGER)
    audio_tracks = AudioDocument(many=True)
    chapters = ChapterDocument(many=True)
    transcription = TranscriptionDocument(required=False, allow_null=True, default=None)
    file_versions = FileVersionDocument(many=True, required=False, default=list)
    original = OriginalDocument()
    poster = PosterDocument(allow_null=True)
    captions = TrackDocument(many=True)
