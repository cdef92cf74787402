"""Categories, tags, media, chapters and playlists of MediaCMS."""

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils import timezone

from videos.formatting import seconds_of
from videos.models import (
    MAX_ITEMS,
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
)
from videos.moving import mediacms_tables
from videos.moving.database import aware
from videos.moving.move import Move, Pair, unused

TITLE, NAME, TAG = 255, 100, 50  # characters
TAKEN = ("video", "audio")  # media that become videos here
LINKS, LISTS = "files_media: links", "files_playlist: items"
MOMENTS, TITLES = ("startTime", "start", "time"), ("chapterTitle", "title", "text", "name")


def load(move: Move) -> None:
    move.load("files_category", Category, mediacms_tables.CATEGORIES, lambda rows: list(_categories(rows)))
    move.load("files_tag", Tag, mediacms_tables.TAGS, lambda rows: list(_tags(rows)))
    media = mediacms_tables.MEDIA
    move.load("files_media", Video, media, lambda rows: list(_media(move, rows)), address="friendly_token")
    _load_links(move)
    move.load("files_playlist", Playlist, mediacms_tables.PLAYLISTS, lambda rows: list(_playlists(rows)))
    _load_items(move)


def _categories(rows: list[Any]) -> Iterable[Pair]:
    here = {category.name.lower(): category for category in Category.objects.all()}
    used: set[str] = set()
    for row in rows:
        name = (row.title or "Category")[:NAME]
        if name.lower() not in here:
            facts = {"name": name, "description": row.description or "", "slug": unused(Category, name, used)}
            here[name.lower()] = Category(**facts, created_at=aware(row.add_date) or timezone.now())
            yield row.id, here[name.lower()]
        else:
            found = here[name.lower()]
            if found._state.adding:
                found.save()
            yield row.id, found


def _tags(rows: list[Any]) -> Iterable[Pair]:
    return [(row.id, Tag.objects.named((row.title or "tag")[:TAG])) for row in rows]


def _media(move: Move, rows: list[Any]) -> Iterable[Pair]:
    category = _first_categories(move, [row.id for row in rows])
    used: set[str] = set()
    for row in rows:
        if row.media_type not in TAKEN:
            move.report.lose("files_media", row.id, f"«{row.title}» is left out: it is of the type {row.media_type}")
            continue
        visibility = visibility_of(row)
        if row.state == "public" and visibility != Visibility.PUBLIC:
            move.report.lose("files_media", row.id, f"«{row.title}» becomes private: it was not reviewed")
        if row.password:
            move.report.lose("files_media", row.id, f"«{row.title}» becomes private: set its password again")
        if row.likes or row.dislikes:
            move.report.lose("files_media", row.id, f"{row.likes or 0} likes and {row.dislikes or 0} dislikes are lost")
        title, created_at = (row.title or "Video")[:TITLE], aware(row.add_date) or timezone.now()
        views = max(0, row.views or 0)
        fields: dict[str, Any] = {
            "title": title,
            "slug": unused(Video, title, used),
            "description": row.description or "",
            "category_id": category.get(row.id),
            "created_at": created_at,
            "published_at": created_at if visibility == Visibility.PUBLIC else None,
            "visibility": visibility,
            "base_views": views,
            "view_count": views,
        }
        yield row.id, incoming(fields)


def visibility_of(row: Any) -> str:
    """Return who may watch: what is public there has to be reviewed, too."""
    if row.password:
        return Visibility.PRIVATE
    if row.state == "public":
        return Visibility.PUBLIC if row.is_reviewed else Visibility.PRIVATE
    return Visibility.UNLISTED if row.state == "unlisted" else Visibility.PRIVATE


def _categories_of(move: Move, media_ids: list[int]) -> dict[int, list[int]]:
    """Return the categories there of media, the first ones first."""
    rows = move.old.of("files_media_category", mediacms_tables.OF_CATEGORIES, "media_id", media_ids)
    found: defaultdict[int, list[int]] = defaultdict(list)
    for row in rows:
        found[row.media_id].append(row.category_id)
    return found


def _first_categories(move: Move, media_ids: list[int]) -> dict[int, int | None]:
    found = _categories_of(move, media_ids)
    here = move.new_ids("files_category", (ids[0] for ids in found.values()))
    return {media: here.get(ids[0]) for media, ids in found.items()}


def _load_links(move: Move) -> None:
    """Import tags, further categories as tags, chapters, and what is featured."""
    move.progress.begin("tags and chapters", move.old.count("files_media"))
    for rows in move.old.chunks("files_media", ("id", "featured")):
        with transaction.atomic():
            left = move.left(LINKS, rows)
            ids = move.new_ids("files_media", (row.id for row in left))
            videos = {old: new for old, new in ids.items() if old and new}
            _write_tags(move, videos)
            _write_chapters(move, videos)
            FeaturedVideo.objects.feature(videos[row.id] for row in left if row.featured and row.id in videos)
            ImportMap.objects.note(move.source, LINKS, ((row.id, ids.get(row.id)) for row in left))
        move.progress.advance(len(rows))


def _write_tags(move: Move, videos: dict[int, int]) -> None:
    rows = move.old.of("files_media_tags", mediacms_tables.OF_TAGS, "media_id", list(videos))
    tags = move.new_ids("files_tag", (row.tag_id for row in rows))
    pairs = {(videos[row.media_id], tag) for row in rows if (tag := tags.get(row.tag_id))}
    further = {media: ids[1:] for media, ids in _categories_of(move, list(videos)).items() if ids[1:]}
    wanted = [pk for ids in further.values() for pk in ids]
    names = {row.id: row.title for row in move.old.of("files_category", ("id", "title"), "id", wanted)}
    for media, ids in further.items():
        pairs |= {(videos[media], Tag.objects.named(names[pk][:TAG]).pk) for pk in ids if pk in names}
    links = [VideoTag(video_id=video, tag_id=tag) for video, tag in sorted(pairs)]
    VideoTag.objects.bulk_create(links, ignore_conflicts=True)
    move.report.add("tags of videos", len(links))


def _write_chapters(move: Move, videos: dict[int, int]) -> None:
    found: dict[tuple[int, float], Chapter] = {}
    for row in move.old.of("files_videochapterdata", mediacms_tables.CHAPTERS, "media_id", list(videos)):
        for start, title in marks_of(row.data):
            video = videos[row.media_id]
            found.setdefault((video, start), Chapter(video_id=video, start=start, title=title[:TITLE]))
    Chapter.objects.bulk_create(found.values())
    move.report.add("chapters", len(found))


def marks_of(data: Any) -> list[tuple[float, str]]:
    """Return the start and the title of each chapter of the JSON there."""
    rows = json.loads(data) if isinstance(data, str) else data
    rows = rows.get("chapters", []) if isinstance(rows, dict) else rows
    marks = [mark for row in rows or () if isinstance(row, dict) for mark in _mark(row)]
    return sorted(marks)


def _mark(row: dict[str, Any]) -> Iterable[tuple[float, str]]:
    start = next((row[name] for name in MOMENTS if name in row), None)
    title = next((str(row[name]) for name in TITLES if row.get(name)), "Chapter")
    if isinstance(start, int | float):
        yield max(0.0, float(start)), title
    elif isinstance(start, str):
        whole, _, fraction = start.partition(".")
        yield seconds_of(whole) + (float(f"0.{fraction}") if fraction.isdecimal() else 0.0), title


def _playlists(rows: list[Any]) -> Iterable[Pair]:
    used: set[str] = set()
    for row in rows:
        title = (row.title or "Playlist")[:TITLE]
        facts = {"title": title, "description": row.description or "", "slug": unused(Playlist, title, used)}
        created_at = aware(row.add_date) or timezone.now()
        yield row.id, Playlist(**facts, visibility=PlaylistVisibility.UNLISTED, created_at=created_at)


def _load_items(move: Move) -> None:
    for rows in move.old.chunks("files_playlist", ("id",)):
        with transaction.atomic():
            left = move.left(LISTS, rows)
            ids = move.new_ids("files_playlist", (row.id for row in left))
            lists = {old: new for old, new in ids.items() if old and new}
            items = move.old.of("files_playlistmedia", mediacms_tables.ITEMS, "playlist_id", list(lists))
            _write_items(move, lists, items)
            ImportMap.objects.note(move.source, LISTS, ((row.id, ids.get(row.id)) for row in left))


def _write_items(move: Move, lists: dict[int, int], rows: list[Any]) -> None:
    videos = move.new_ids("files_media", (row.media_id for row in rows))
    order: defaultdict[int, dict[int, None]] = defaultdict(dict)
    for row in sorted(rows, key=lambda row: (row.ordering or 0, row.id)):
        if video := videos.get(row.media_id):
            order[lists[row.playlist_id]][video] = None
    made = [
        PlaylistItem(playlist_id=playlist, video_id=video, position=number)
        for playlist, found in order.items()
        for number, video in enumerate(list(found)[:MAX_ITEMS], start=1)
    ]
    PlaylistItem.objects.bulk_create(made)
    move.report.add("playlist items", len(made))
