"""The rows of a site as JSON: schema.json describes it, and `videos.imports.exported` reads it."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from transcoding.engine.formats import webvtt
from transcoding.engine.formats.webvtt import Caption
from videos.models import (
    CaptionTrack,
    CaptionVersion,
    Category,
    Cue,
    FeaturedVideo,
    OwnPage,
    Playlist,
    Tag,
    Transcription,
    Video,
    Visibility,
)
from vlog.models import SiteSettings

FORMAT = 2
INDEX, SCHEMA, SITE = "vlog-export.json", "schema.json", "site.json"
CATEGORIES, TAGS, PLAYLISTS, VIDEO = "categories.json", "tags.json", "playlists.json", "video.json"
LOGO = "pictures/logo.png"
VIDEOS, ARCHIVE = "videos", "archive"  # folders
CUE_FIELDS = ("start", "end", "text", "confidence", "words", "edited", "checked")
TRACK_FIELDS = ("number", "language", "name", "kind", "origin", "state", "is_default", "is_forced", "edited")
VERSION_FIELDS = ("number", "state", "language", "origin", "edited", "created_by", "is_working", "revision")
AUDIO_FIELDS = ("rendition", "language", "name", "role", "is_default", "hidden", "position")
SPEECH_FIELDS = ("language", "given_language", "glossary", "duration_seconds", "word_count", "error_message")
SETTINGS_FIELDS = ("name", "tagline", "accent", "footer_links", "language", "time_zone")
PAGE_FIELDS = ("title", "slug", "text", "in_footer", "position")
ENDED = (Transcription.Status.COMPLETED, Transcription.Status.FAILED)
LINK_FIELDS = ("name", "key_hash", "key_prefix")


def as_bytes(document: dict[str, Any]) -> bytes:
    """Return a document as a file has it: the same bytes for the same content."""
    return (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode()


def index(site: str, folders: Sequence[str], *, is_complete: bool) -> dict[str, Any]:
    """Return the document of the whole export. folders: of the videos that belong to it, in the order of their ids."""
    return {"kind": "export", "format": FORMAT, "site": site, "complete": is_complete, "videos": list(folders)}


def folder_of(row: Video) -> str:
    """Return the folder of a video. That of an archived one has the time: its slug is free for other videos."""
    if row.deleted_at is None:
        return f"{VIDEOS}/{row.slug}"
    return f"{ARCHIVE}/{slug_of(row)[:200]}-{row.created_at.astimezone(UTC):%Y%m%d%H%M%S%f}"


def key_of(row: Video) -> str:
    """Return how a playlist names a video: by its slug, or by the folder of an archived one."""
    return folder_of(row).removeprefix(f"{VIDEOS}/")


def site_of(settings: SiteSettings | None, pages: Iterable[OwnPage]) -> dict[str, Any]:
    """Return the document of the site's settings and own pages. settings: None where they were never saved."""
    values = None
    if settings is not None:
        values = {**_values(settings, SETTINGS_FIELDS), "logo": LOGO if settings.logo else ""}
    return {
        "kind": "site",
        "format": FORMAT,
        "settings": values,
        "pages": [_values(page, PAGE_FIELDS) for page in pages],
    }


def categories(rows: Iterable[Category], pictures: dict[int, str]) -> dict[str, Any]:
    """Return the document of categories; pictures: the names of their files by id."""
    columns = ("slug", "name", "description", "glossary", "position")
    found = [
        {
            **_values(row, columns),
            "created_at": _moment(row.created_at),
            "old_slugs": _old_slugs(row),
            "picture": pictures.get(row.pk, ""),
        }
        for row in rows
    ]
    return {"kind": "categories", "format": FORMAT, "categories": found}


def tags(rows: Iterable[Tag]) -> dict[str, Any]:
    found = [
        {"slug": row.slug, "name": row.name, "created_at": _moment(row.created_at), "old_slugs": _old_slugs(row)}
        for row in rows
    ]
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
                "poster_video": key_of(poster) if poster else None,
                "videos": [key_of(video) for video in items],
            }
        )
    return {"kind": "playlists", "format": FORMAT, "playlists": found}


def video(row: Video, files: dict[str, Any], *, passwords: bool) -> dict[str, Any]:
    """Return the document of a video. files: what is said of its original, its poster and its captions.

    passwords: with the hashes of passwords and of the links for guests.
    """
    now = row.in_force()
    ahead = [change for change in row.changes.all() if change.at > timezone.now()]
    featured = FeaturedVideo.objects.filter(video=row).first()
    return {
        "kind": "video",
        "format": FORMAT,
        "slug": slug_of(row),
        **_values(row, ("title", "description")),
        "archived": _archived(row),
        "old_slugs": _old_slugs(row),
        "category": row.category.slug if row.category else None,
        "tags": sorted(tag.name for tag in row.tags.all()),
        "visibility": now.visibility,
        **_password(now, passwords=passwords),
        "planned": [
            {"at": _moment(change.at), "visibility": change.visibility, **_password(change, passwords=passwords)}
            for change in ahead
        ],
        **({"share_links": [_link(link) for link in row.share_links.all()]} if passwords else {}),
        **_values(row, ("publish_early", "downloads", "source_name")),
        "created_at": _moment(row.created_at),
        "published_at": _moment(row.published_at),
        "featured_at": _moment(featured.featured_at if featured else None),
        "duration": row.duration,
        "views": row.view_count,
        "audio_tracks": [_values(track, AUDIO_FIELDS) for track in row.audio_tracks.all()],
        "chapters": list(row.chapters.order_by("start").values("start", "title", "from_file")),
        "transcription": _transcription(Transcription.objects.filter(video=row).first()),
        "file_versions": _file_versions(row),
        **files,
    }


def slug_of(row: Video) -> str:
    """Return the slug of a video; of an archived one that which it had before."""
    entry = getattr(row, "archive_entry", None)
    return str(entry.slug if entry else row.slug)


def _archived(row: Video) -> dict[str, Any] | None:
    if row.deleted_at is None:
        return None
    entry = getattr(row, "archive_entry", None)
    return {"at": _moment(row.deleted_at), "by": entry.archived_by if entry else ""}


def _password(row: Any, *, passwords: bool) -> dict[str, str]:
    return {"password_hash": row.password} if passwords and row.visibility == Visibility.PASSWORD else {}


def _link(row: Any) -> dict[str, Any]:
    moments = ("created_at", "expires_at", "revoked_at", "last_used_at")
    return {**_values(row, LINK_FIELDS), **{name: _moment(getattr(row, name)) for name in moments}}


def _transcription(row: Transcription | None) -> dict[str, Any] | None:
    """Return what is known of a transcription; one that has not ended is pending where it is imported."""
    if row is None:
        return None
    return {
        "status": row.status if row.status in ENDED else Transcription.Status.PENDING,
        **_values(row, SPEECH_FIELDS),
        "started_at": _moment(row.started_at),
        "completed_at": _moment(row.completed_at),
        "text": row.transcript_text,
    }


def _file_versions(row: Video) -> list[dict[str, Any]]:
    """Return the history of a video's file. Only the current file is exported, so all others count as deleted."""
    return [
        {
            "number": version.number,
            "is_current": version.state == version.State.CURRENT,
            **_values(version, ("source_name", "size", "created_by")),
            "created_at": _moment(version.created_at),
            "replaced_at": _moment(version.replaced_at),
        }
        for version in sorted(row.file_versions.all(), key=lambda version: version.number)
        if version.state != version.State.MAKING
    ]


def track(row: CaptionTrack) -> dict[str, Any]:
    """Return what a video's document says of a caption track; its texts are in the files that it names."""
    name = f"captions-{row.number}.{row.language}"
    return {
        **_values(row, TRACK_FIELDS),
        "created_at": _moment(row.created_at),
        "file": f"{name}.vtt",
        "cues": f"{name}.json",
    }


def version(row: CaptionVersion) -> dict[str, Any]:
    """Return what the document says of a draft or a former text of a caption track."""
    return {
        **_values(row, VERSION_FIELDS),
        "created_at": _moment(row.created_at),
        "updated_at": _moment(row.updated_at),
        "cues": f"captions-{row.track.number}.version-{row.number}.json",
    }


def cues(rows: Sequence[Cue]) -> tuple[bytes, bytes]:
    """Return captions as WebVTT for other programs, and with everything that VLog knows."""
    text = webvtt.whole([Caption(cue.start, cue.end, cue.text) for cue in rows])
    return text.encode(), whole_cues(rows)


def whole_cues(rows: Iterable[Cue]) -> bytes:
    found = [{**_values(cue, CUE_FIELDS), "start": float(cue.start), "end": float(cue.end)} for cue in rows]
    return as_bytes({"kind": "cues", "format": FORMAT, "cues": found})


def _values(row: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _old_slugs(row: Any) -> list[str]:
    return sorted(old.slug for old in row.old_slugs.all())


def _moment(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None
