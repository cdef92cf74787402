"""A video as JSON, and the fields of it that can be changed; docs/api.md describes both."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse
from django.utils import timezone
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from videos import grants
from videos.formatting import absolute
from videos.models import Category, Video, Visibility
from videos.publication import MAX_PASSWORD
from videos.storage.paths import package_url, poster_url
from videos.uploads import clean
from videos.uploads.completion import TAG_LENGTH
from videos.uploads.details import MAX_DESCRIPTION, check_category, find_category
from vlog import audit

MAX_TAGS = 100
FARTHEST = timedelta(days=365 * 100)
WITH_VISIBILITY = ("password", "visible_from", "visible_until")


def check_moment(moment: datetime) -> None:
    if moment > timezone.now() + FARTHEST:
        raise ValidationError("This is more than a hundred years ahead.")
    if moment.astimezone(UTC).astimezone(moment.tzinfo).replace(tzinfo=None) != moment.replace(tzinfo=None):
        raise ValidationError(f"In {moment.tzinfo} the clocks skip this time. Add an offset, such as +01:00.")


class VideoWithFields(serializers.Serializer[Any]):
    """What can be changed of a video. Each of the fields may be left out."""

    title = serializers.CharField(required=False, max_length=255)
    slug = serializers.SlugField(required=False, max_length=255, help_text="The last part of its address")
    description = serializers.CharField(
        required=False, allow_blank=True, trim_whitespace=False, max_length=MAX_DESCRIPTION
    )
    category = serializers.CharField(
        required=False, allow_blank=True, allow_null=True, max_length=100, help_text="A slug, a name, or # and an id"
    )
    tags = serializers.ListField(
        child=serializers.CharField(max_length=TAG_LENGTH), required=False, max_length=MAX_TAGS
    )
    publish_early = serializers.BooleanField(required=False)
    downloads = serializers.BooleanField(required=False, help_text="Whether viewers may download it")
    visibility = serializers.ChoiceField(
        Visibility.choices,
        required=False,
        error_messages={"invalid_choice": f"It is one of {', '.join(Visibility.values)}."},
    )
    password = serializers.CharField(
        required=False, trim_whitespace=False, write_only=True, max_length=MAX_PASSWORD,
        help_text="With the visibility password; without it, the video keeps the one that it has",
    )  # fmt: skip
    visible_from = serializers.DateTimeField(
        required=False, write_only=True, validators=[check_moment], help_text="Default: now"
    )
    visible_until = serializers.DateTimeField(
        required=False, write_only=True, validators=[check_moment], help_text="After that the video is private"
    )
    cancel_planned = serializers.BooleanField(
        required=False, write_only=True, help_text="Cancel the planned changes of the visibility"
    )

    def validate_title(self, text: str) -> str:
        if not clean(text):
            raise ValidationError("A video needs a title.")
        return clean(text)

    def validate_slug(self, slug: str) -> str:
        if Video.objects.exclude(pk=self.context["video"].pk).filter(slug=slug).exists():
            raise ValidationError("Another video has this slug.")
        return slug

    def validate_category(self, text: str | None) -> Category | None:
        category = find_category(text) if text else None
        check_category(self.context["user"], category)
        return category

    def validate_tags(self, names: list[str]) -> list[str]:
        return [clean(name) for name in names if clean(name)]

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        unknown = set(self.initial_data) - set(self.fields)
        if unknown:
            raise ValidationError({min(unknown): f"This cannot be changed. What can: {', '.join(self.fields)}."})
        for name in WITH_VISIBILITY:
            if name in fields and "visibility" not in fields:
                raise ValidationError({name: "Give the visibility that it belongs to, too."})
        return fields


class PlannedSerializer(serializers.Serializer[Any]):
    """A change of the visibility that is planned."""

    at = serializers.DateTimeField()
    visibility = serializers.ChoiceField(Visibility.choices)


class VideoSerializer(VideoWithFields):
    """A video: what can be changed, what VLog knows of it, and its addresses."""

    id = serializers.IntegerField()
    version = serializers.IntegerField(help_text="Counts the edits; also the ETag")
    planned = PlannedSerializer(many=True)
    status = serializers.ChoiceField(Video.Status.choices)
    error_message = serializers.CharField(allow_null=True, help_text="Why it failed")
    duration = serializers.FloatField(help_text="Seconds; 0 until the file has been analysed")
    created_at = serializers.DateTimeField()
    published_at = serializers.DateTimeField(allow_null=True, help_text="When it first became public")
    url = serializers.CharField(help_text="The address of its page")
    edit_url = serializers.CharField(help_text="The address of its page in the admin")
    poster_url = serializers.CharField(help_text="Good for 12 hours if the video is not public or unlisted")
    playlist_url = serializers.CharField(help_text="The master playlist of HLS; likewise")


@dataclass(frozen=True)
class Fields:
    """The validated fields of a change: those of the columns, and the others."""

    values: dict[str, Any]

    def as_change(self, video: Video) -> dict[str, Any]:
        """Return the arguments for `editing.change`."""
        columns = ("title", "slug", "description", "category", "publish_early", "downloads")
        return {
            "columns": {name: self.values[name] for name in columns if name in self.values},
            "tags": self.values.get("tags"),
            "schedule": self._schedule() if "visibility" in self.values else None,
            "cancel_planned": self.values.get("cancel_planned", False),
        }

    def _schedule(self) -> dict[str, Any]:
        names = {"visibility": "visibility", "password": "password", "visible_from": "at", "visible_until": "until"}
        return {argument: self.values[name] for name, argument in names.items() if name in self.values}


def validated(data: Any, video: Video, user: User | AnonymousUser) -> Fields:
    """Return the fields of a change. Raises ValidationError: a sentence, and those of each field."""
    serializer = VideoWithFields(data=data, context={"video": video, "user": user})
    if serializer.is_valid():
        return Fields(dict(serializer.validated_data))
    errors = {name: _sentences(messages) for name, messages in serializer.errors.items()}
    name, messages = next(iter(errors.items()))
    detail = messages[0] if name == "non_field_errors" else f"{name}: {messages[0]}"
    raise ValidationError({"detail": detail, "errors": errors})


def _sentences(messages: Any) -> list[str]:
    """Return the messages of a field; a list of values has those of each value by its number."""
    nested = messages.values() if isinstance(messages, dict) else [messages]
    return [str(message) for each in nested for message in each]


def representation(video: Video, user: User) -> dict[str, Any]:
    """Return a video as JSON has it, for an editor who may load its files."""
    if not video.is_open:
        video.grant = grants.for_editor(user, video)
    columns = ("id", "version", "status", "error_message", "duration", "created_at", "published_at")
    return {
        **{name: getattr(video, name) for name in columns},
        **editable(video),
        "planned": planned(video),
        "url": absolute(video.get_absolute_url()),
        "edit_url": absolute(reverse("admin:videos_video_change", args=[video.pk])),
        "poster_url": absolute(poster_url(video)),
        "playlist_url": absolute(package_url(video, "master.m3u8")),
    }


def editable(video: Video) -> dict[str, Any]:
    """Return the fields that can be changed, as JSON has them; a password is never shown."""
    return {
        "title": video.title,
        "slug": video.slug,
        "description": video.description,
        "category": video.category.slug if video.category else None,
        "tags": [tag.name for tag in video.tags.all()],
        "publish_early": video.publish_early,
        "downloads": video.downloads,
        "visibility": video.in_force().visibility,
    }


def planned(video: Video) -> list[dict[str, Any]]:
    return [{"at": change.at, "visibility": change.visibility} for change in video.changes.all()]


def differences(video: Video, fields: Fields) -> dict[str, Any]:
    """Return for each field of a change that differs from the video: both values, and who changed it last and when."""
    theirs, last = {**editable(video), **dict.fromkeys(WITH_VISIBILITY[1:], planned(video))}, audit.last_changes(video)
    found = {}
    for name, value in fields.values.items():
        mine = value.slug if isinstance(value, Category) else value
        if name in theirs and not _is_same(mine, theirs[name]):
            entry = last.get("visibility" if name in WITH_VISIBILITY else name)
            by = {"changed_by": entry.who, "changed_at": entry.at} if entry else {}
            found[name] = {"mine": mine, "theirs": theirs[name], **by}
    return found


def _is_same(mine: Any, theirs: Any) -> bool:
    if isinstance(mine, list):
        return {name.casefold() for name in mine} == {str(name).casefold() for name in theirs}
    return bool(mine == theirs)
