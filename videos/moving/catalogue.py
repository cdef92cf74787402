"""Categories, tags, videos, chapters and playlists of the original VLog."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from math import isfinite
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from videos.archive import counted_from
from videos.models import (
    MAX_ITEMS,
    ArchiveEntry,
    Category,
    Chapter,
    FeaturedVideo,
    ImportMap,
    Playlist,
    PlaylistItem,
    PlaylistVisibility,
    Tag,
    Video,
    VideoTag,
    Visibility,
    incoming,
    new_media_key,
)
from videos.moving import vlog_tables
from videos.moving.database import MovingError, aware
from videos.moving.move import Move, Pair, unused
from vlog.sentences import counted

SLUG = re.compile(r"[-a-zA-Z0-9_]+")  # what the addresses of pages take


def positive(number: float | None) -> float:
    """Return a number of seconds, and 0 for what is none."""
    return number if number is not None and isfinite(number) and number > 0 else 0.0


def load_labels(move: Move) -> None:
    """Import categories and tags. Those of a name or slug that is here already become the ones here."""
    move.load("categories", Category, vlog_tables.CATEGORIES, lambda rows: list(_categories(rows)))
    move.load("tags", Tag, vlog_tables.TAGS, lambda rows: list(_tags(rows)))


def _categories(rows: list[Any]) -> Iterable[Pair]:
    used = {row.slug for row in rows}
    here = {category.slug: category for category in Category.objects.filter(slug__in=[row.slug for row in rows])}
    for row in rows:
        slug = row.slug if SLUG.fullmatch(row.slug) else unused(Category, row.name, used)
        fields = {"name": row.name, "slug": slug, "description": row.description or ""}
        yield row.id, here.get(row.slug) or Category(**fields, created_at=aware(row.created_at) or timezone.now())


def _tags(rows: list[Any]) -> Iterable[Pair]:
    known = Tag.objects.filter(models.Q(slug__in=[r.slug for r in rows]) | models.Q(name__in=[r.name for r in rows]))
    here = {key: tag for tag in known for key in (tag.slug, tag.name)}
    used = {row.slug for row in rows}
    for row in rows:
        slug = row.slug if SLUG.fullmatch(row.slug) else unused(Tag, row.name, used)
        made = Tag(name=row.name, slug=slug, created_at=aware(row.created_at) or timezone.now())
        yield row.id, here.get(row.slug) or here.get(row.name) or made


def load_videos(move: Move) -> None:
    """Import the rows of videos; their files come later, and until then they are pending."""
    check_identity(move)
    move.load("videos", Video, vlog_tables.VIDEOS, lambda rows: _videos(move, rows), address="slug")
    _note_archive_and_featured(move)


def check_identity(move: Move) -> None:
    """Raise MovingError where another installation was imported under this name."""
    known = ImportMap.objects.of(move.source, "videos").exclude(address="").order_by("old_id")[:20]
    addresses = {row.old_id: row.address for row in known}
    slugs = {row.id: row.slug for row in move.old.of("videos", ("id", "slug"), "id", list(addresses))}
    if slugs and not any(addresses[pk] == slug for pk, slug in slugs.items()):
        raise MovingError(
            f"Another installation was imported as {move.source!r}. Give this one a name of its own with --source."
        )


def _videos(move: Move, rows: list[Any]) -> list[Pair]:
    categories = move.new_ids("categories", (row.category_id for row in rows))
    taken = _taken([row.slug for row in rows])
    lines, used = _custom_fields(move, [row.id for row in rows]), {row.slug for row in rows}
    slugs = {row.id: _slug(move, row, taken, used) for row in rows}
    return [(row.id, _video(row, slugs[row.id], categories.get(row.category_id), lines[row.id])) for row in rows]


def _slug(move: Move, row: Any, taken: set[str], used: set[str]) -> str:
    """Return the slug of a video: its own, if that is an address here and free."""
    if row.slug not in taken and SLUG.fullmatch(row.slug):
        return str(row.slug)
    slug, why = (
        unused(Video, row.slug if SLUG.fullmatch(row.slug) else row.title or row.slug, used),
        "is taken here" if row.slug in taken else "is no address here",
    )
    move.report.lose("videos", row.id, f"its address changes: {row.slug} {why}, so it becomes {slug}")
    return slug


def _taken(slugs: list[str]) -> set[str]:
    """Return those of the slugs that videos have or had."""
    present = Video.objects.filter(slug__in=slugs).values_list("slug", flat=True)
    return {*present, *Video.objects.filter(old_slugs__slug__in=slugs).values_list("old_slugs__slug", flat=True)}


def _video(row: Any, slug: str, category: int | None, lines: list[str]) -> Video:
    is_public, now = row.published_at is not None, timezone.now()
    fields: dict[str, Any] = {
        "title": row.title or row.slug,
        "slug": slug,
        "description": "\n".join(filter(None, [row.description or "", *lines])),
        "category_id": category,
        "duration": positive(row.duration),
        "source_width": max(0, row.source_width or 0),
        "source_height": max(0, row.source_height or 0),
        "created_at": aware(row.created_at) or aware(row.published_at) or now,
        "published_at": aware(row.published_at),
        "visibility": Visibility.PUBLIC if is_public else Visibility.PRIVATE,
        "media_key": new_media_key(),
    }
    archived_at = aware(row.deleted_at)
    return incoming(fields, counted_from(archived_at) if archived_at else None)


def _custom_fields(move: Move, video_ids: list[int]) -> defaultdict[int, list[str]]:
    """Return the custom fields of videos as lines of text."""
    rows = move.old.of("video_custom_fields", vlog_tables.FIELDS, "video_id", video_ids)
    columns = vlog_tables.FIELD_DEFINITIONS
    known = move.old.of("custom_field_definitions", columns, "id", [row.field_id for row in rows])
    names = {row.id: (row.position or 0, row.name) for row in known}
    lines: defaultdict[int, list[str]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: names.get(row.field_id, (0, ""))):
        if row.field_id in names and row.value:
            lines[row.video_id].append(f"{names[row.field_id][1]}: {_as_text(row.value)}")
    return lines


def _as_text(value: str) -> str:
    """Return the value of a custom field, which may be a list in JSON."""
    try:
        found = json.loads(value)
    except ValueError:
        return value
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found)


def _note_archive_and_featured(move: Move) -> None:
    """Write what belongs to videos beside their rows: archive entries and featured videos."""
    for rows in move.old.chunks("videos", ("id", "slug", "deleted_at", "is_featured", "featured_at")):
        with transaction.atomic():
            left = move.left("videos: beside", rows)
            ids = move.new_ids("videos", (row.id for row in left))
            _write_beside(left, ids)
            ImportMap.objects.note(move.source, "videos: beside", ((row.id, ids.get(row.id)) for row in left))


def _write_beside(rows: list[Any], ids: dict[int | None, int | None]) -> None:
    here = set(Video.objects.filter(pk__in=[pk for pk in ids.values() if pk]).values_list("pk", flat=True))
    found = [(pk, row) for row in rows if (pk := ids.get(row.id)) is not None and pk in here]
    archived = [ArchiveEntry(video_id=pk, slug=row.slug) for pk, row in found if row.deleted_at is not None]
    ArchiveEntry.objects.bulk_create(archived, ignore_conflicts=True)
    featured = [
        FeaturedVideo(video_id=pk, featured_at=aware(row.featured_at) or timezone.now())
        for pk, row in found
        if row.is_featured
    ]
    FeaturedVideo.objects.bulk_create(featured, ignore_conflicts=True)


def load_links(move: Move) -> None:
    """Import the tags and the chapters of videos: those of a chunk of videos in one transaction."""
    move.progress.begin("tags and chapters of videos", move.old.count("videos"))
    for rows in move.old.chunks("videos", ("id",)):
        with transaction.atomic():
            left = move.left("videos: links", rows)
            ids = move.new_ids("videos", (row.id for row in left))
            _write_tags(move, ids)
            _write_chapters(move, ids)
            ImportMap.objects.note(move.source, "videos: links", ((row.id, ids.get(row.id)) for row in left))
        move.progress.advance(len(rows))


def _write_tags(move: Move, ids: dict[int | None, int | None]) -> None:
    rows = move.old.of("video_tags", vlog_tables.VIDEO_TAGS, "video_id", [pk for pk in ids if pk])
    tags = move.new_ids("tags", (row.tag_id for row in rows))
    pairs = {(video, tag) for row in rows if (video := ids[row.video_id]) and (tag := tags.get(row.tag_id))}
    links = [VideoTag(video_id=video, tag_id=tag) for video, tag in sorted(pairs)]
    VideoTag.objects.bulk_create(links, ignore_conflicts=True)
    move.report.add("tags of videos", len(links))


def _write_chapters(move: Move, ids: dict[int | None, int | None]) -> None:
    rows = move.old.of("chapters", vlog_tables.CHAPTERS, "video_id", [pk for pk in ids if pk])
    made: dict[tuple[int, float], Chapter] = {}
    for row in sorted(rows, key=lambda row: (row.video_id, positive(row.start_time), row.position or 0)):
        video, start = ids[row.video_id], positive(row.start_time)
        if video is None:
            continue
        if (video, start) in made:
            move.report.lose("chapters", row.id, "it is left out, because another one begins at the same second")
            continue
        if row.description:
            move.report.lose("chapters", row.id, f"its description is lost: {row.description}")
        made[video, start] = Chapter(video_id=video, start=start, title=row.title or "Chapter")
    Chapter.objects.bulk_create(made.values())
    move.report.add("chapters", len(made))


def load_playlists(move: Move) -> None:
    """Import playlists, and their items in their order."""
    move.load("playlists", Playlist, vlog_tables.PLAYLISTS, lambda rows: list(_playlists(move, rows)))
    for rows in move.old.chunks("playlists", ("id",)):
        with transaction.atomic():
            left = move.left("playlists: items", rows)
            ids = move.new_ids("playlists", (row.id for row in left))
            _write_items(move, ids)
            ImportMap.objects.note(move.source, "playlists: items", ((row.id, ids.get(row.id)) for row in left))


def _playlists(move: Move, rows: list[Any]) -> Iterable[Pair]:
    taken = set(Playlist.objects.filter(slug__in=[row.slug for row in rows]).values_list("slug", flat=True))
    used = {row.slug for row in rows}
    for row in rows:
        if row.deleted_at is not None:
            move.report.lose("playlists", row.id, f"«{row.title}» is left out, because it was deleted there")
            continue
        is_free = row.slug not in taken and SLUG.fullmatch(row.slug)
        why = "is no address here" if not SLUG.fullmatch(row.slug) else "is taken here"
        slug = row.slug if is_free else unused(Playlist, row.title or row.slug, used)
        lost = {
            f"its address changes: {row.slug} {why}, so it becomes {slug}": slug != row.slug,
            "it is featured no longer: there are no featured playlists here": row.is_featured,
            f"its kind is lost: {row.playlist_type}": row.playlist_type not in (None, "playlist"),
            f"its picture is lost: {row.thumbnail_path}": row.thumbnail_path,
        }
        for sentence in (sentence for sentence, is_lost in lost.items() if is_lost):
            move.report.lose("playlists", row.id, sentence)
        is_known = row.visibility in PlaylistVisibility.values
        visibility = row.visibility if is_known else PlaylistVisibility.PRIVATE
        fields = {"title": row.title or slug, "slug": slug, "description": row.description or ""}
        yield row.id, Playlist(**fields, visibility=visibility, created_at=aware(row.created_at) or timezone.now())


def _write_items(move: Move, ids: dict[int | None, int | None]) -> None:
    rows = move.old.of("playlist_items", vlog_tables.PLAYLIST_ITEMS, "playlist_id", [pk for pk in ids if pk])
    videos = move.new_ids("videos", (row.video_id for row in rows))
    order: defaultdict[int, dict[int, None]] = defaultdict(dict)
    for row in sorted(rows, key=lambda row: (row.position or 0, row.id)):
        playlist, video = ids[row.playlist_id], videos.get(row.video_id)
        if playlist and video:
            order[playlist][video] = None
    for playlist, found in order.items():
        if len(found) > MAX_ITEMS:
            beyond = counted(len(found) - MAX_ITEMS, "video")
            move.report.lose("playlists", playlist, f"{beyond} beyond the first {MAX_ITEMS}")
    items = [
        PlaylistItem(playlist_id=playlist, video_id=video, position=number)
        for playlist, found in order.items()
        for number, video in enumerate(list(found)[:MAX_ITEMS], start=1)
    ]
    PlaylistItem.objects.bulk_create(items)
    move.report.add("playlist items", len(items))
