"""What editors change of videos, categories, tags and playlists, in the audit log: each field before and after."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models import QuerySet

from videos.formatting import clock
from videos.models import AudioTrack, Category, Playlist, Tag, Video
from vlog import audit

MAX_TEXT = 50_000  # characters of one value

Row = Video | Category | Tag | Playlist


def values_of(row: Row) -> dict[str, Any]:
    """Return what editors change of a row, as JSON has it, read now: names, texts, and lists of texts.

    The visibility of a video, captions and what is in a playlist have entries of their own, which `videos.publication`,
    `CaptionTrack` and `Playlist` write.
    """
    if isinstance(row, Video):
        return _values_of_video(row)
    if isinstance(row, Playlist):
        texts = ("title", "slug", "description", "visibility")
        return {**{name: getattr(row, name)[:MAX_TEXT] for name in texts}, "poster": str(row.poster_video or "")}
    columns = ("name", "slug", "description") if isinstance(row, Category) else ("name", "slug")
    return {name: getattr(row, name)[:MAX_TEXT] for name in columns}


def _values_of_video(video: Video) -> dict[str, Any]:
    return {
        "title": video.title,
        "slug": video.slug,
        "description": video.description[:MAX_TEXT],
        "category": str(video.category or ""),
        "tags": [tag.name for tag in Tag.objects.filter(videos=video)],
        "publish_early": video.publish_early,
        "downloads": video.downloads,
        "chapters": [f"{clock(chapter.start)} {chapter.title}" for chapter in video.chapters.order_by("start")],
        "audio": [_described_audio(track) for track in AudioTrack.objects.filter(video=video)],
    }


@contextmanager
def recorded(row: Row) -> Iterator[None]:
    """Record what the block changes of a row, in one entry. Call it in a transaction, with the row locked."""
    before = values_of(row)
    yield
    now = _same(row).first()
    after = values_of(now) if now else before
    changed = [name for name in after if before[name] != after[name]]
    if now is not None and changed:
        old, new = ({name: values[name] for name in changed} for values in (before, after))
        audit.record("changed", subject=now, before=old, after=new)


def _same(row: Row) -> QuerySet[Any]:
    rows: QuerySet[Any] = (row._meta.concrete_model or type(row))._default_manager.filter(pk=row.pk)
    return rows.select_related("category") if isinstance(row, Video) else rows


def _described_audio(track: AudioTrack) -> str:
    facts = (track.language, track.role, "default" if track.is_default else "", "hidden" if track.hidden else "")
    return f"{track.name} ({', '.join(filter(None, facts))})"
