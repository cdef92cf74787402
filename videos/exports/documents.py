"""The rows of a site as JSON: schema.json describes it, and `videos.imports.exported` reads it."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from transcoding.engine.formats import webvtt
from transcoding.engine.formats.webvtt import Caption
from videos.models import CaptionTrack, Category, FeaturedVideo, Playlist, Tag, Video, Visibility

FORMAT = 1
INDEX, SCHEMA = "vlog-export.json", "schema.json"
CATEGORIES, TAGS, PLAYLISTS, VIDEO = "categories.json", "tags.json", "playlists.json", "video.json"
CUE_FIELDS = ("start", "end", "text", "confidence", "words", "edited", "checked")
TRACK_FIELDS = ("number", "language", "name", "kind", "origin", "state", "is_default", "is_forced", "edited")
AUDIO_FIELDS = ("rendition", "language", "name", "role", "is_default", "hidden")


def as_bytes(document: dict[str, Any]) -> bytes:
    """Return a document as a file has it: the same bytes for the same content."""
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def index(site: str) -> dict[str, Any]:
    return {"kind": "export", "format": FORMAT, "site": site}


def categories(rows: Iterable[Category], pictures: dict[int, str]) -> dict[str, Any]:
    """Return the document of categories; pictures: the names of their files by id."""
    columns = ("slug", "name", "description", "glossary", "position")
    found = [
        {**_values(row, columns), "old_slugs": _old_slugs(row), "picture": pictures.get(row.pk, "")} for row in rows
    ]
    return {"kind": "categories", "format": FORMAT, "categories": found}


def tags(rows: Iterable[Tag]) -> dict[str, Any]:
    found = [{"slug": row.slug, "name": row.name, "old_slugs": _old_slugs(row)} for row in rows]
    return {"kind": "tags", "format": FORMAT, "tags": found}


def playlists(rows: Iterable[Playlist], pictures: dict[int, str], shown: set[int]) -> dict[str, Any]:
    """Return the document of playlists, with those of their videos that are exported (`shown`)."""
    found = []
    for row in rows:
        items = [item.video for item in row.items.all() if item.video_id in shown]
        poster = row.poster_video if row.poster_video_id in shown else None
        found.append(
            {
                **_values(row, ("slug", "title", "description", "visibility")),
                "created_at": _moment(row.created_at),
                "old_slugs": _old_slugs(row),
                "picture": pictures.get(row.pk, ""),
                "poster_video": poster.slug if poster else None,
                "videos": [video.slug for video in items],
            }
        )
    return {"kind": "playlists", "format": FORMAT, "playlists": found}


def video(row: Video, files: dict[str, Any], *, passwords: bool) -> dict[str, Any]:
    """Return the document of a video. files: what is said of its original, its poster and its captions."""
    now = row.in_force()
    ahead = [change for change in row.changes.all() if change.at > timezone.now()]
    featured = FeaturedVideo.objects.filter(video=row).first()
    return {
        "kind": "video",
        "format": FORMAT,
        **_values(row, ("slug", "title", "description")),
        "old_slugs": _old_slugs(row),
        "category": row.category.slug if row.category else None,
        "tags": sorted(tag.name for tag in row.tags.all()),
        "visibility": now.visibility,
        **({"password_hash": now.password} if passwords and now.visibility == Visibility.PASSWORD else {}),
        "planned": [{"at": _moment(change.at), "visibility": change.visibility} for change in ahead],
        **_values(row, ("publish_early", "downloads", "source_name")),
        "created_at": _moment(row.created_at),
        "published_at": _moment(row.published_at),
        "featured_at": _moment(featured.featured_at if featured else None),
        "duration": row.duration,
        "views": row.view_count,
        "audio_tracks": [_values(track, AUDIO_FIELDS) for track in row.audio_tracks.all()],
        "chapters": list(row.chapters.order_by("start").values("start", "title", "from_file")),
        **files,
    }


def track(row: CaptionTrack) -> dict[str, Any]:
    """Return what a video's document says of a caption track; its texts are in the files that it names."""
    name = f"captions-{row.number}.{row.language}"
    return {**_values(row, TRACK_FIELDS), "file": f"{name}.vtt", "cues": f"{name}.json"}


def cues(row: CaptionTrack) -> tuple[bytes, bytes]:
    """Return the texts of a caption track: as WebVTT for other programs, and with everything that VLog knows."""
    rows = list(row.cues.order_by("start", "pk"))
    text = webvtt.whole([Caption(cue.start, cue.end, cue.text) for cue in rows])
    document = {"kind": "cues", "format": FORMAT, "cues": [_values(cue, CUE_FIELDS) for cue in rows]}
    return text.encode(), as_bytes(document)


def _values(row: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _old_slugs(row: Any) -> list[str]:
    return sorted(old.slug for old in row.old_slugs.all())


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None
