"""Videos, playlists, categories and tags as JSON for everybody; docs/api.md describes the fields."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db.models import Count
from django.urls import reverse
from rest_framework import serializers

from transcoding.engine.renditions import display_order
from transcoding.steps.tracks import label_of
from videos.formatting import absolute
from videos.models import AudioRole, Category, Chapter, Playlist, PlaylistVisibility, Tag, TrackKind, Video, VideoTag
from videos.models.visibility import OPEN
from videos.pages import downloads, embed
from videos.storage.paths import CHAPTERS, package_url, poster_url, storyboard_url

SOUND, PICTURES = "audio", "video"


class Link(serializers.Serializer[Any]):
    """A category or a tag of a video."""

    slug = serializers.CharField()
    name = serializers.CharField()


class VideoSummary(serializers.Serializer[Any]):
    """A video in a list."""

    slug = serializers.CharField(help_text="The last part of its address")
    title = serializers.CharField()
    kind = serializers.ChoiceField([PICTURES, SOUND], help_text="audio: there are no pictures")
    duration = serializers.FloatField(help_text="Seconds")
    published_at = serializers.DateTimeField(allow_null=True, help_text="When it first became public")
    views = serializers.IntegerField()
    category = Link(allow_null=True)
    tags = Link(many=True)
    url = serializers.CharField(help_text="The address of its page")
    poster_url = serializers.CharField()


class Rendition(serializers.Serializer[Any]):
    """A quality that viewers can choose."""

    key = serializers.CharField()
    width = serializers.IntegerField(help_text="Pixels")
    height = serializers.IntegerField(help_text="Pixels")
    bitrate = serializers.IntegerField(help_text="Average, in kbit/s")


class Audio(serializers.Serializer[Any]):
    """An audio track that viewers can choose."""

    key = serializers.CharField()
    language = serializers.CharField(help_text="BCP 47; und: unknown")
    name = serializers.CharField()
    role = serializers.ChoiceField(AudioRole.choices, allow_blank=True)
    is_default = serializers.BooleanField()


class Captions(serializers.Serializer[Any]):
    """A published caption track."""

    number = serializers.IntegerField()
    language = serializers.CharField(help_text="BCP 47; und: unknown")
    name = serializers.CharField(help_text="As the player's menu shows it")
    kind = serializers.ChoiceField(TrackKind.choices)
    is_default = serializers.BooleanField()
    is_forced = serializers.BooleanField(help_text="Only what the audio says in another language")
    url = serializers.CharField(help_text="The WebVTT file")


class Mark(serializers.Serializer[Any]):
    """A chapter, which lasts until the next one begins."""

    start = serializers.FloatField(help_text="Seconds")
    title = serializers.CharField()


class Size(serializers.Serializer[Any]):
    quality = serializers.CharField()
    size = serializers.IntegerField(help_text="About, in bytes; 0: not known")


class Download(serializers.Serializer[Any]):
    """The video as one file. The quality is a parameter of the address: `?quality=720p`."""

    url = serializers.CharField()
    qualities = Size(many=True)


class PublicVideo(VideoSummary):
    """A video as everybody who has its address sees it."""

    description = serializers.CharField()
    visibility = serializers.ChoiceField([(value, value) for value in OPEN])
    renditions = Rendition(many=True)
    audio_tracks = Audio(many=True)
    captions = Captions(many=True)
    chapters = Mark(many=True)
    playlist_url = serializers.CharField(help_text="The master playlist of HLS")
    storyboard_url = serializers.CharField(allow_null=True, help_text="WebVTT with pictures for the seek bar")
    chapters_url = serializers.CharField(allow_null=True, help_text="The chapters as WebVTT")
    embed_url = serializers.CharField(allow_null=True, help_text="The player for other sites; null: not wanted here")
    download = Download(allow_null=True, help_text="null: viewers may not download it")


class Group(serializers.Serializer[Any]):
    """A category or a tag with public videos."""

    slug = serializers.CharField()
    name = serializers.CharField()
    videos = serializers.IntegerField(help_text="The number of its public videos")
    url = serializers.CharField(help_text="The address of its page")
    feed_url = serializers.CharField()


class PublicPlaylistSummary(serializers.Serializer[Any]):
    """A playlist in a list."""

    slug = serializers.CharField()
    title = serializers.CharField()
    updated_at = serializers.DateTimeField()
    url = serializers.CharField(help_text="The address of its page")
    feed_url = serializers.CharField()


class PublicPlaylist(PublicPlaylistSummary):
    """A playlist as everybody who has its address sees it."""

    description = serializers.CharField()
    visibility = serializers.ChoiceField([(value, value) for value in OPEN])
    videos = VideoSummary(many=True, help_text="In their order, at most 500")


class Moment(serializers.Serializer[Any]):
    """The captions that contain the words."""

    start = serializers.IntegerField(help_text="Seconds")
    html = serializers.CharField(help_text="Escaped HTML, with matches in <mark>")
    captions = serializers.IntegerField(help_text="The number of the caption track")
    url = serializers.CharField(help_text="The page, from this moment")


class Hit(serializers.Serializer[Any]):
    """A video that was found."""

    video = VideoSummary()
    title_html = serializers.CharField(help_text="Escaped HTML, with matches in <mark>")
    excerpt_html = serializers.CharField(help_text="Of the description, likewise")
    moment = Moment(allow_null=True)


def summary(video: Video) -> dict[str, Any]:
    """Return a video of a list. Its category and tags are read beforehand."""
    return {
        "slug": video.slug,
        "title": video.title,
        "kind": SOUND if video.only_sound else PICTURES,
        "duration": video.duration,
        "published_at": video.published_at or video.changes_at,  # until beat notes it, its change has the moment
        "views": video.view_count,
        "category": _link(video.category) if video.category else None,
        "tags": [_link(tag) for tag in video.tags.all()],
        "url": absolute(video.get_absolute_url()),
        "poster_url": absolute(poster_url(video)),
    }


def _link(row: Category | Tag) -> dict[str, str]:
    return {"slug": row.slug, "name": row.name}


def representation(video: Video) -> dict[str, Any]:
    """Return a video that everybody with its address may watch."""
    storyboard, chapters = storyboard_url(video), Chapter.objects.filter(video=video).marks()
    return {
        **summary(video),
        "description": video.description,
        "visibility": str(video.in_force().visibility),
        "renditions": _renditions(video),
        "audio_tracks": _audio(video),
        "captions": _captions(video),
        "chapters": [{"start": start, "title": title} for start, title in chapters],
        "playlist_url": absolute(package_url(video, "master.m3u8")),
        "storyboard_url": absolute(storyboard) if storyboard else None,
        "chapters_url": absolute(package_url(video, CHAPTERS)) if chapters else None,
        "embed_url": embed.player(video) if settings.EMBED_SITES else None,
        "download": _download(video),
    }


def _renditions(video: Video) -> list[dict[str, Any]]:
    rows = {row.quality: row for row in video.qualities.all()}
    columns = ("width", "height", "bitrate")
    return [
        {"key": key, **{name: getattr(rows[key], name) for name in columns}} for key in sorted(rows, key=display_order)
    ]


def _audio(video: Video) -> list[dict[str, Any]]:
    columns = ("language", "name", "role", "is_default")
    tracks = video.audio_tracks.offered()
    return [{"key": track.rendition, **{name: getattr(track, name) for name in columns}} for track in tracks]


def _captions(video: Video) -> list[dict[str, Any]]:
    return [
        {
            **{name: getattr(track, name) for name in ("number", "language", "kind", "is_default", "is_forced")},
            "name": label_of(track),
            "url": absolute(package_url(video, f"captions-{track.number}.vtt")),
        }
        for track in video.caption_tracks.published().first_shown()
    ]


def _download(video: Video) -> dict[str, Any] | None:
    offer = downloads.offer(video)
    if not offer:
        return None
    qualities = [{"quality": quality, "size": size} for quality, size in offer["qualities"]]
    return {"url": absolute(offer["address"]), "qualities": qualities}


def playlist_summary(row: Playlist) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in ("slug", "title", "updated_at")},
        "url": absolute(row.get_absolute_url()),
        "feed_url": absolute(reverse("playlist-feed", args=[row.slug])),
    }


def playlist_representation(row: Playlist) -> dict[str, Any]:
    """Return a playlist that is not private, with the videos that viewers see in it."""
    videos = row.shown().select_related("category").prefetch_related("tags").defer("description")
    facts = {"description": row.description, "visibility": str(PlaylistVisibility(row.visibility))}
    return {**playlist_summary(row), **facts, "videos": [summary(video) for video in videos]}


def categories(rows: Iterable[Category]) -> list[dict[str, Any]]:
    """Return categories, with the numbers of their public videos, in one query."""
    public = Video.objects.public().filter(category__in=rows).order_by()
    numbers = dict(public.values_list("category").annotate(Count("pk")))
    return [_group(row, numbers.get(row.pk, 0), "category-feed") for row in rows]


def tags(rows: Iterable[Tag]) -> list[dict[str, Any]]:
    """Return tags, with the numbers of their public videos, in one query."""
    public = VideoTag.objects.filter(tag__in=rows, video__in=Video.objects.public().order_by())
    numbers = dict(public.values_list("tag").annotate(Count("video")))
    return [_group(row, numbers.get(row.pk, 0), "tag-feed") for row in rows]


def _group(row: Category | Tag, number: int, feed: str) -> dict[str, Any]:
    addresses = {
        "url": absolute(row.get_absolute_url()),
        "feed_url": absolute(reverse(feed, args=[row.slug])),
    }
    return {**_link(row), "videos": number, **addresses}
