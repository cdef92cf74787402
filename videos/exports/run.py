"""An export: the documents of the site, then each video with its files. What is unchanged is not written again."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.db.models import Prefetch

from transcoding.engine.package.files import StoreError
from videos.exports import documents
from videos.exports.documents import as_bytes
from videos.exports.targets import Folder, Target, TargetError
from videos.models import (
    CaptionTrack,
    CaptionVersion,
    Category,
    OwnPage,
    Picture,
    Playlist,
    PlaylistItem,
    SourceFile,
    Tag,
    Video,
    VideoQuerySet,
)
from videos.storage import paths
from vlog import site
from vlog.disk import readable
from vlog.models import SiteSettings

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
    """One run. is_whole: of the site, and not of single videos; passwords: with the hashes that open videos."""

    target: Target
    say: Callable[[str], object]
    warn: Callable[[str], object]
    is_whole: bool = True
    passwords: bool = True

    def run(self, videos: VideoQuerySet) -> Counts:
        """Write an export of these videos, and of the rest of the site if it is whole. Raises TargetError."""
        before = self._before()
        folders = {row.pk: documents.folder_of(row) for row in videos.select_related("archive_entry").order_by("pk")}
        self._check_space(videos, folders)
        others = [] if self.is_whole else before.folders
        planned = list(dict.fromkeys([*others, *folders.values()]))
        if before.folders != planned:  # else those that are there stay an export that can be read
            self._write_index(planned, is_complete=False)
        self.target.put(documents.SCHEMA, SCHEMA_FILE.read_bytes())
        self._write_lists(videos)
        counts = Counts()
        for pk in folders:
            self._one(pk, counts)
        found = [name for name in planned if self.target.exists(f"{name}/{documents.VIDEO}")]
        self._write_index(found, is_complete=True)
        return counts

    def _before(self) -> "Before":
        """Return what an earlier export has left. Raises TargetError where it cannot be continued."""
        data = self.target.read(documents.INDEX)
        if data is None:
            return Before()
        said = _document(data)
        if said.get("format") == documents.FORMAT and isinstance(said.get("videos"), list):
            return Before(True, [str(name) for name in said["videos"]])
        if isinstance(said.get("format"), int) and said["format"] < documents.FORMAT and self.is_whole:
            return Before()
        raise TargetError(
            "The export that is there was written by another release of VLog. Export the whole site into it, or "
            "choose another folder. Nothing was written."
        )

    def _write_index(self, folders: Sequence[str], *, is_complete: bool) -> None:
        index = documents.index(site.current().name, folders, is_complete=is_complete)
        self.target.put(documents.INDEX, as_bytes(index))

    def _one(self, pk: int, counts: Counts) -> None:
        video = _with_rows(Video.objects.listed()).filter(pk=pk).first()
        if video is None:
            return  # it was deleted meanwhile
        try:
            is_new = self._write_video(video)
        except (Failed, StoreError) as error:
            counts.failed += 1
            self.warn(f"{documents.key_of(video)}: {error}")
            return
        counts.videos += 1
        counts.written += is_new
        self.say(f"{'Exported' if is_new else 'Unchanged'}: {documents.key_of(video)}")

    def _check_space(self, videos: VideoQuerySet, folders: dict[int, str]) -> None:
        """Raise TargetError where the originals that are not there yet do not fit, before anything is written."""
        free = self.target.free()
        if free is None:
            return
        missing = 0
        for video in videos.iterator(chunk_size=500):
            said = _original_of(self.target.read(f"{folders[video.pk]}/{documents.VIDEO}"))
            with suppress(OSError):  # an original that is lost is reported when it is its turn
                size = paths.original(video).stat().st_size
                missing += 0 if said.get("size") == size else size
        if missing > free:
            raise TargetError(
                f"The originals to write have {readable(missing)}, and the disk has {readable(free)} free. "
                "Nothing was written."
            )

    def _write_lists(self, videos: VideoQuerySet) -> None:
        """Write site, categories, tags and playlists: all, or those of single videos where the export has none yet."""
        categories, tags = Category.objects.order_by("slug"), Tag.objects.order_by("slug")
        playlists = Playlist.objects.order_by("slug")
        shown = set(videos.values_list("pk", flat=True))
        if not self.is_whole:
            if self.target.exists(documents.CATEGORIES):
                return
            categories = categories.filter(videos__in=videos).distinct()
            tags = tags.filter(videos__in=videos).distinct()
            playlists = playlists.filter(videos__in=videos).distinct()
        else:
            self._write_site()
        categories, tags = categories.prefetch_related("old_slugs"), tags.prefetch_related("old_slugs")
        items = Prefetch("items", PlaylistItem.objects.select_related("video__archive_entry").order_by("position"))
        playlists = playlists.select_related("poster_video__archive_entry").prefetch_related("old_slugs", items)
        of_categories, of_playlists = self._pictures("category", categories), self._pictures("playlist", playlists)
        self.target.put(documents.CATEGORIES, as_bytes(documents.categories(categories, of_categories)))
        self.target.put(documents.TAGS, as_bytes(documents.tags(tags)))
        self.target.put(documents.PLAYLISTS, as_bytes(documents.playlists(playlists, of_playlists, shown)))

    def _write_site(self) -> None:
        settings = SiteSettings.objects.first()
        if settings is not None and settings.logo:
            self.target.put(documents.LOGO, bytes(settings.logo))
        pages = OwnPage.objects.order_by("slug")
        self.target.put(documents.SITE, as_bytes(documents.site_of(settings, pages)))

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
        folder = documents.folder_of(video)
        content = content_of(video)
        path = paths.original(video)
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
            said, is_new = self._write_track(folder, track)
            files["captions"].append(said)
            names |= {said["file"], said["cues"], *(each["cues"] for each in said["versions"])}
            written |= is_new
        self.target.keep_only(folder, names)
        document = documents.video(video, files, passwords=self.passwords)
        return self.target.put(f"{folder}/{documents.VIDEO}", as_bytes(document)) or written

    def _write_track(self, folder: str, track: CaptionTrack) -> tuple[dict[str, Any], bool]:
        """Write the texts of a caption track; returns what the document says of it, and whether anything was new."""
        said: dict[str, Any] = {**documents.track(track), "versions": []}
        text, cues = documents.cues(list(track.cues.order_by("start", "pk")))
        written = self.target.put(f"{folder}/{said['file']}", text)
        written |= self.target.put(f"{folder}/{said['cues']}", cues)
        # One at a time: the texts of a long video have megabytes.
        for version in CaptionVersion.objects.filter(track=track).order_by("number").iterator(chunk_size=1):
            version.track = track
            said["versions"].append(each := documents.version(version))
            written |= self.target.put(f"{folder}/{each['cues']}", documents.whole_cues(version.as_cues()))
        return said, written


@dataclass(frozen=True)
class Before:
    """What an earlier export has left: whether there is one, and the folders of its videos."""

    exists: bool = False
    folders: list[str] = field(default_factory=list)


def content_of(video: Video) -> SourceFile:
    """Return what is known of the content of a video's original; it is read where that is nothing. Raises Failed."""
    number, path = paths.source_number(video), paths.original(video)
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
    related = ("tags", "old_slugs", "changes", "audio_tracks", "caption_tracks", "share_links", "file_versions")
    return videos.select_related("category", "archive_entry").prefetch_related(*related)


def _poster(video: Video) -> list[tuple[bytes, bool]]:
    """Return the poster, and whether an editor chose it; nothing where there is none yet."""
    package = paths.archived_package(video) if video.deleted_at else paths.package_dir(video)
    places = ((paths.chosen_poster(video), True), (package / "poster.jpg", False))
    return next(([(path.read_bytes(), is_chosen)] for path, is_chosen in places if path.is_file()), [])


def _said(data: bytes | None) -> str:
    """Return the SHA-256 of the original that the document of a video in a folder says; empty without one."""
    return str(_original_of(data).get("sha256", ""))


def _original_of(data: bytes | None) -> dict[str, Any]:
    found = _document(data).get("original")
    return found if isinstance(found, dict) else {}


def _document(data: bytes | None) -> dict[str, Any]:
    """Return a document of an earlier export; an empty one where it cannot be read."""
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
