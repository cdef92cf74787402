"""An export: the documents of the site, then each video with its files. What is unchanged is not written again."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.db.models import Prefetch

from transcoding.engine.package.files import StoreError
from videos.exports import documents
from videos.exports.documents import as_bytes
from videos.exports.targets import Folder, Target, TargetError
from videos.models import Category, Picture, Playlist, PlaylistItem, SourceFile, Tag, Video, VideoQuerySet
from videos.storage.paths import chosen_poster_path, package_dir, source_number, source_path
from vlog import site
from vlog.disk import readable

BLOCK = 1 << 20
SCHEMA_FILE = Path(__file__).with_name("schema.json")


class Failed(Exception):
    """A video cannot be exported; the message says why."""


@dataclass
class Counts:
    videos: int = 0
    written: int = 0
    failed: int = 0

    def __str__(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.videos} exported, of which {self.written} had something new{failed}."


@dataclass
class Export:
    """One run. slugs: of the videos to export; none: all that are not in the archive."""

    target: Target
    say: Callable[[str], object]
    warn: Callable[[str], object]
    passwords: bool = False

    def run(self, videos: VideoQuerySet, *, is_whole: bool) -> Counts:
        """Write an export. Raises TargetError."""
        self._check_space(videos)
        self.target.put(documents.INDEX, as_bytes(documents.index(site.current().name)))
        self.target.put(documents.SCHEMA, SCHEMA_FILE.read_bytes())
        self._write_lists(videos, is_whole=is_whole)
        counts = Counts()
        for pk in videos.order_by("pk").values_list("pk", flat=True):
            self._one(pk, counts)
        return counts

    def _one(self, pk: int, counts: Counts) -> None:
        video = _with_rows(Video.objects.not_archived()).filter(pk=pk).first()
        if video is None:
            return  # it was archived meanwhile
        try:
            is_new = self._write_video(video)
        except (Failed, StoreError) as error:
            counts.failed += 1
            self.warn(f"{video.slug}: {error}")
            return
        counts.videos += 1
        counts.written += is_new
        self.say(f"{'Exported' if is_new else 'Unchanged'}: {video.slug}")

    def _check_space(self, videos: VideoQuerySet) -> None:
        """Raise TargetError where the originals that are not there yet do not fit, before anything is written."""
        free = self.target.free()
        if free is None:
            return
        known, missing = _known_originals(self.target, videos), 0
        for video in videos.iterator(chunk_size=500):
            with suppress(OSError):  # an original that is lost is reported when it is its turn
                size = source_path(video).stat().st_size
                missing += 0 if known.get(video.slug) == size else size
        if missing > free:
            raise TargetError(
                f"The originals to write have {readable(missing)}, and the disk has {readable(free)} free. "
                "Nothing was written."
            )

    def _write_lists(self, videos: VideoQuerySet, *, is_whole: bool) -> None:
        """Write categories, tags and playlists: all, or those of single videos where the export has none yet."""
        categories, tags = Category.objects.order_by("slug"), Tag.objects.order_by("slug")
        playlists = Playlist.objects.order_by("slug")
        shown = set(videos.values_list("pk", flat=True))
        if not is_whole:
            if self.target.read(documents.CATEGORIES) is not None:
                return
            categories = categories.filter(videos__in=videos).distinct()
            tags = tags.filter(videos__in=videos).distinct()
            playlists = playlists.filter(videos__in=videos).distinct()
        categories, tags = categories.prefetch_related("old_slugs"), tags.prefetch_related("old_slugs")
        items = Prefetch("items", PlaylistItem.objects.select_related("video").order_by("position"))
        playlists = playlists.select_related("poster_video").prefetch_related("old_slugs", items)
        of_categories, of_playlists = self._pictures("category", categories), self._pictures("playlist", playlists)
        self.target.put(documents.CATEGORIES, as_bytes(documents.categories(categories, of_categories)))
        self.target.put(documents.TAGS, as_bytes(documents.tags(tags)))
        self.target.put(documents.PLAYLISTS, as_bytes(documents.playlists(playlists, of_playlists, shown)))

    def _pictures(self, kind: str, owners: Any) -> dict[int, str]:
        """Write the pictures of categories or playlists; returns the names of their files by the owners' ids."""
        slugs, found = {row.pk: row.slug for row in owners}, {}
        for picture in Picture.objects.filter(**{f"{kind}__in": list(slugs)}):
            owner = getattr(picture, f"{kind}_id")
            found[owner] = f"pictures/{kind}-{slugs[owner]}.jpg"
            self.target.put(found[owner], bytes(picture.jpeg))
        return found

    def _write_video(self, video: Video) -> bool:
        """Write the files of a video, and its document last; returns whether anything was new."""
        folder = f"videos/{video.slug}"
        content = content_of(video)
        path = source_path(video)
        original = {"file": path.name, "size": content.size, "sha256": content.sha256}
        name = f"{folder}/{path.name}"
        if isinstance(self.target, Folder):
            self.target.known |= {name: _said(self.target.read(f"{folder}/{documents.VIDEO}"))}
        written = self.target.put_file(name, content.size, content.sha256, lambda: path.open("rb"))
        files: dict[str, Any] = {"original": original, "poster": None, "captions": []}
        names = {path.name}
        for jpeg, is_chosen in _poster(video):
            files["poster"] = {"file": "poster.jpg", "sha256": sha256(jpeg).hexdigest(), "chosen": is_chosen}
            written |= self.target.put(f"{folder}/poster.jpg", jpeg)
            names.add("poster.jpg")
        for track in video.caption_tracks.all():
            said = documents.track(track)
            for each, data in zip((said["file"], said["cues"]), documents.cues(track), strict=True):
                written |= self.target.put(f"{folder}/{each}", data)
                names.add(each)
            files["captions"].append(said)
        self.target.keep_only(folder, names)
        document = documents.video(video, files, passwords=self.passwords)
        return self.target.put(f"{folder}/{documents.VIDEO}", as_bytes(document)) or written


def content_of(video: Video) -> SourceFile:
    """Return what is known of the content of a video's original; it is read where that is nothing. Raises Failed."""
    number, path = source_number(video), source_path(video)
    found = SourceFile.objects.filter(video=video, number=number).first()
    try:
        size = path.stat().st_size
        if found is not None and found.size == size:
            return found
        hashing = sha256()
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                hashing.update(block)
    except FileNotFoundError as error:
        raise Failed("its original is not there, so it cannot be exported.") from error
    if not size:
        raise Failed("its original is empty, so it cannot be exported.")
    row, _ = SourceFile.objects.update_or_create(
        video=video, number=number, defaults={"size": size, "sha256": hashing.hexdigest()}
    )
    return row


def _with_rows(videos: VideoQuerySet) -> VideoQuerySet:
    related = ("tags", "old_slugs", "changes", "audio_tracks", "caption_tracks")
    return videos.select_related("category").prefetch_related(*related)


def _poster(video: Video) -> list[tuple[bytes, bool]]:
    """Return the poster, and whether an editor chose it; nothing where there is none yet."""
    places: Sequence[tuple[Path, bool]] = (
        (chosen_poster_path(video), True),
        (package_dir(video) / "poster.jpg", False),
    )
    return next(([(path.read_bytes(), is_chosen)] for path, is_chosen in places if path.is_file()), [])


def _said(data: bytes | None) -> str:
    """Return the SHA-256 of the original that the document of a video in a folder says; empty without one."""
    return str(_original_of(data).get("sha256", ""))


def _original_of(data: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(data or b"{}")["original"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _known_originals(target: Target, videos: VideoQuerySet) -> dict[str, int]:
    """Return the bytes of the originals that an earlier export has written, by the slugs of their videos."""
    found = {}
    for slug in videos.values_list("slug", flat=True):
        said = _original_of(target.read(f"videos/{slug}/{documents.VIDEO}"))
        if isinstance(said.get("size"), int):
            found[slug] = said["size"]
    return found
