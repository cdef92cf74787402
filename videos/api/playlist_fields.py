"""A playlist as JSON, and the fields of it that can be changed."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from videos.formatting import absolute
from videos.models import MAX_ITEMS, Playlist, PlaylistVisibility, Video, VideoQuerySet
from videos.uploads import clean
from videos.uploads.details import MAX_DESCRIPTION


class PlaylistWithFields(serializers.Serializer[Any]):
    """What can be changed of a playlist. Each of the fields may be left out."""

    title = serializers.CharField(required=False, max_length=255)
    slug = serializers.SlugField(required=False, max_length=255, help_text="The last part of its address")
    description = serializers.CharField(
        required=False, allow_blank=True, trim_whitespace=False, max_length=MAX_DESCRIPTION
    )
    visibility = serializers.ChoiceField(PlaylistVisibility.choices, required=False)
    videos = serializers.ListField(
        child=serializers.SlugField(max_length=255),
        required=False,
        max_length=MAX_ITEMS,
        help_text="The slugs of its videos, in their order",
    )

    def validate_title(self, text: str) -> str:
        if not clean(text):
            raise ValidationError("A playlist needs a title.")
        return clean(text)

    def validate_slug(self, slug: str) -> str:
        playlist = self.context["playlist"]
        others = Playlist.objects.exclude(pk=playlist.pk) if playlist else Playlist.objects.all()
        if others.filter(slug=slug).exists():
            raise ValidationError("Another playlist has this slug.")
        return slug

    def validate_videos(self, slugs: list[str]) -> list[int]:
        return ids_of(slugs, self.context)

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        unknown = set(self.initial_data) - set(self.fields)
        if unknown:
            raise ValidationError({min(unknown): f"This cannot be changed. What can: {', '.join(self.fields)}."})
        if self.context["playlist"] is None and "title" not in fields:
            raise ValidationError({"title": "A playlist needs a title."})
        return fields


class PlaylistSummary(serializers.Serializer[Any]):
    """A playlist in a list."""

    title = serializers.CharField()
    slug = serializers.CharField()
    visibility = serializers.ChoiceField(PlaylistVisibility.choices)
    number = serializers.IntegerField(help_text="Of its videos, without those in the archive")
    version = serializers.IntegerField(help_text="Counts the edits; also the ETag")
    url = serializers.CharField(help_text="The address of its page")


class PlaylistPage(serializers.Serializer[Any]):
    """A page of playlists."""

    count = serializers.IntegerField()
    next_page = serializers.IntegerField(allow_null=True)
    results = PlaylistSummary(many=True)


class PlaylistSerializer(PlaylistWithFields):
    """A playlist: what can be changed, what VLog knows of it, and its addresses."""

    version = serializers.IntegerField(help_text="Counts the edits; also the ETag")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    url = serializers.CharField(help_text="The address of its page")
    edit_url = serializers.CharField(help_text="The address of its page in the admin")
    feed_url = serializers.CharField(help_text="The address of its feed")


class ItemSerializer(serializers.Serializer[Any]):
    """A video, and the one that it stands before in a playlist."""

    video = serializers.SlugField(max_length=255)
    before = serializers.SlugField(max_length=255, required=False, allow_null=True)

    def validate_video(self, slug: str) -> int:
        return ids_of([slug], self.context)[0]

    def validate_before(self, slug: str | None) -> int | None:
        return ids_of([slug], self.context)[0] if slug else None


def validated(data: Any, playlist: Playlist | None, user: User | AnonymousUser) -> dict[str, Any]:
    """Return the fields of a change. Raises ValidationError: a sentence, and those of each field."""
    serializer = PlaylistWithFields(data=data, context={"playlist": playlist, "user": user})
    if serializer.is_valid():
        return dict(serializer.validated_data)
    errors: dict[str, list[str]] = {name: _sentences(messages) for name, messages in serializer.errors.items()}
    name, messages = next(iter(errors.items()))
    raise ValidationError({"detail": messages[0] if name == "non_field_errors" else f"{name}: {messages[0]}"})


def _sentences(messages: Any) -> list[str]:
    nested = messages.values() if isinstance(messages, dict) else [messages]
    return [str(message) for each in nested for message in each]


def ids_of(slugs: list[str], context: Mapping[str, Any]) -> list[int]:
    """Return the ids of the videos that have these slugs or had them, in their order. Raises ValidationError.

    They are videos that the account may edit, and those that are in the playlist already.
    """
    known = _by_slug(Video.objects.for_editor(context["user"]), slugs)
    if context["playlist"] is not None:
        known |= _by_slug(Video.objects.filter(playlists=context["playlist"]), slugs)
    if missing := [slug for slug in slugs if slug not in known]:
        raise ValidationError(f"There is no video {missing[0]}.")
    return [known[slug] for slug in slugs]


def _by_slug(videos: VideoQuerySet, slugs: list[str]) -> dict[str, int]:
    videos = videos.listed().not_archived()
    known = dict(videos.filter(old_slugs__slug__in=slugs).values_list("old_slugs__slug", "pk"))
    return known | dict(videos.filter(slug__in=slugs).values_list("slug", "pk"))


def summary(playlist: Any) -> dict[str, Any]:
    columns = ("title", "slug", "visibility", "number", "version")
    return {**{name: getattr(playlist, name) for name in columns}, "url": absolute(playlist.get_absolute_url())}


def representation(playlist: Playlist) -> dict[str, Any]:
    """Return a playlist as JSON has it. The slugs of archived videos are no addresses, so these are left out."""
    columns = ("title", "slug", "description", "visibility", "version", "created_at", "updated_at")
    items = playlist.items.filter(video__deleted_at=None).order_by("position")
    return {
        **{name: getattr(playlist, name) for name in columns},
        "videos": list(items.values_list("video__slug", flat=True)),
        "url": absolute(playlist.get_absolute_url()),
        "edit_url": absolute(reverse("admin:videos_playlist_change", args=[playlist.pk])),
        "feed_url": absolute(reverse("playlist-feed", args=[playlist.slug])),
    }
