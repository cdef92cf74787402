"""An export becomes the same site: categories, tags, videos with all that belongs to them, playlists."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.db import transaction

from transcoding.engine import pictures
from transcoding.engine.package import files
from transcoding.engine.pictures import NotAPicture
from transcoding.queue.disk_quota import InsufficientSpace
from videos import uploads
from videos.imports import documents, originals
from videos.imports.documents import CueDocument, Exported, WrongExport
from videos.imports.folder import Entry, Refused, opened
from videos.imports.run import Counts, WrongUse
from videos.imports.taking import Known, Options, note_content, path_text
from videos.models import (
    CaptionTrack,
    Category,
    CategorySlug,
    Chapter,
    Cue,
    FeaturedVideo,
    Picture,
    Playlist,
    PlaylistFull,
    PlaylistSlug,
    SourceFile,
    Tag,
    TagSlug,
    Video,
    VideoSlug,
    Visibility,
    VisibilityChange,
)
from videos.models.addresses import free_slug_in
from videos.sidecars import MAX_POSTER_BYTES
from videos.storage.paths import chosen_poster_path, scratch

NO_PASSWORD = "its password is not in the export, so it is private: set one in the admin."  # noqa: S105 - a sentence


@dataclass
class Arrival:
    """One run of the import of an export."""

    exported: Exported
    say: Callable[[str], object]
    warn: Callable[[str], object]
    options: Options = field(default_factory=Options)
    counts: Counts = field(default_factory=Counts)
    _categories: dict[str, Category] = field(default_factory=dict)
    _videos: dict[str, Video] = field(default_factory=dict)
    _new: list[Video] = field(default_factory=list)

    def run(self) -> list[Video]:
        """Import everything that the site has not; returns the new videos. Raises WrongUse before the first."""
        self._check_space()
        if not self.options.dry_run:
            self._bring_tags()
            self._bring_categories()
        for folder, document in self.exported.videos.items():
            self._one(folder, document)
        if not self.options.dry_run:
            for row in self.exported.playlists:
                self._bring_playlist(row)
        return self._new

    def _check_space(self) -> None:
        total = sum(each["original"]["size"] for each in self.exported.videos.values() if not _known(each))
        links = self.options.link and originals.is_same_disk(self.exported.root)
        if total and not links and (reason := originals.space_for(total)):
            raise WrongUse(reason)

    def _one(self, folder: str, document: Mapping[str, Any]) -> None:
        slug = document["slug"]
        try:
            video = self._take(folder, document)
        except Known as known:
            self.counts.known += 1
            self._videos[slug] = known.video
            self.say(f"Known: {slug} is {known}.")
            return
        except (Refused, InsufficientSpace, WrongExport) as error:
            self.counts.refused += 1
            self.warn(f"Refused {slug}: {error}")
            return
        self.counts.imported += 1
        if video is None:
            self.say(f"Would import {slug} as «{document['title']}».")
            return
        self._videos[slug] = video
        self._new.append(video)
        self.say(f"Imported {slug} as «{video.title}» (video {video.pk}).")

    def _take(self, folder: str, document: Mapping[str, Any]) -> Video | None:
        """Make the video of a document; None in a dry run. Raises Known, Refused, WrongExport, InsufficientSpace."""
        said, place = document["original"], self.exported.root / "videos" / folder
        if not self.options.again and (row := _known(document)):
            raise Known(row.video)
        entry = Entry(place / said["file"], self.exported.root, f"videos/{folder}/{said['file']}")
        tracks = [(track, self._cues(folder, track)) for track in document["captions"]]
        with opened(entry) as file:
            if self.options.dry_run:
                return None
            original = originals.bring(file, link=self.options.link)
        try:
            if (original.size, original.sha256) != (said["size"], said["sha256"]):
                raise Refused("Its original is not the one that was exported: the file is damaged or was replaced.")
            return self._accepted(entry, original, document, tracks)
        except uploads.UploadError as error:
            raise Refused(str(error)) from error
        finally:
            original.discard()

    def _cues(self, folder: str, track: Mapping[str, Any]) -> list[Cue]:
        name = f"videos/{folder}/{track['cues']}"
        rows = documents.load(self.exported.root, name).get("cues")
        form = CueDocument(data=rows, many=True)
        if not isinstance(rows, list) or not form.is_valid():
            raise WrongExport(f"{name} has cues that cannot be read.")
        return [Cue(**values) for values in form.validated_data]

    def _accepted(
        self,
        entry: Entry,
        original: originals.Original,
        document: Mapping[str, Any],
        tracks: Sequence[tuple[Mapping[str, Any], list[Cue]]],
    ) -> Video:
        def within(video: Video) -> None:
            note_content(video, original, path_text(entry.path))
            add_rows(video, document)
            for fields, cues in tracks:
                CaptionTrack.objects.add(video.pk, cues, **{k: v for k, v in fields.items() if k != "cues"})

        with transaction.atomic():
            SourceFile.objects.all().lock_content(original.sha256)
            if not self.options.again and (row := _known(document)):
                raise Known(row.video)
            columns = self._columns(document)
            video = uploads.accept(original.path, name=document["source_name"], within=within, **columns)
            self._bring_poster(video, entry.path.parent, document["poster"])
            return video

    def _columns(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return what `uploads.accept` takes of a document."""
        names = ("title", "description", "slug", "tags", "publish_early", "downloads", "created_at", "published_at")
        columns = {name: document[name] for name in names}
        columns |= {"category": self._categories.get(document["category"] or ""), "visibility": document["visibility"]}
        if document["visibility"] != Visibility.PASSWORD:
            return columns
        if not document.get("password_hash"):
            self.warn(f"{document['slug']}: {NO_PASSWORD}")
            return columns | {"visibility": Visibility.PRIVATE}
        return columns | {"password": document["password_hash"]}

    def _bring_poster(self, video: Video, folder: Path, poster: Mapping[str, Any] | None) -> None:
        """Make the poster that an editor had chosen that of a new video."""
        if not poster or not poster["chosen"]:
            return
        jpeg = self._picture(f"{folder.relative_to(self.exported.root)}/{poster['file']}")
        if not jpeg or sha256(jpeg).hexdigest() != poster["sha256"]:
            self.warn(f"{video.slug}: its poster was not taken: the file is damaged or was replaced.")
            return
        files.store(chosen_poster_path(video), jpeg)  # before the commit: the step `thumbnail` comes after it

    def _picture(self, name: str) -> bytes:
        """Return a JPEG of the export as it is; empty where it is no picture that VLog has made."""
        try:
            with opened(Entry(self.exported.root / name, self.exported.root, name)) as file:
                jpeg = file.read(MAX_POSTER_BYTES + 1)
            if len(jpeg) > MAX_POSTER_BYTES or not jpeg.startswith(b"\xff\xd8\xff"):
                return b""
            with scratch() as folder:
                (copy := Path(folder) / "picture").write_bytes(jpeg)
                pictures.from_upload(copy, copy.parent)  # raises for what no decoder reads
        except (Refused, NotAPicture, OSError):
            return b""
        return jpeg

    def _bring_tags(self) -> None:
        for row in self.exported.tags:
            if not Tag.objects.filter(name__iexact=row["name"]).exists():
                tag = Tag.objects.create(name=row["name"], slug=free_slug_in(Tag, row["name"], wanted=row["slug"]))
                keep_old_slugs(TagSlug, "tag", tag, row["old_slugs"])

    def _bring_categories(self) -> None:
        for row in self.exported.categories:
            found = Category.objects.at(row["slug"]) or Category.objects.filter(name__iexact=row["name"]).first()
            self._categories[row["slug"]] = found or self._new_category(row)

    def _new_category(self, row: Mapping[str, Any]) -> Category:
        columns = ("name", "slug", "description", "glossary", "position")
        category = Category.objects.create(**{name: row[name] for name in columns})
        keep_old_slugs(CategorySlug, "category", category, row["old_slugs"])
        self._give_picture(category, row["picture"])
        return category

    def _give_picture(self, owner: Category | Playlist, name: str) -> None:
        if name and (jpeg := self._picture(name)):
            Picture.objects.give(owner, jpeg)

    def _bring_playlist(self, row: Mapping[str, Any]) -> None:
        """Create a playlist with its videos; one that there is gets the videos that this run has imported."""
        videos = [self._videos[slug].pk for slug in row["videos"] if slug in self._videos]
        playlist = Playlist.objects.at(row["slug"])
        try:
            with transaction.atomic():
                if playlist is None:
                    playlist = self._new_playlist(row)
                else:
                    new = {video.pk for video in self._new}
                    videos = [pk for pk in videos if pk in new]
                playlist.add(videos)
        except PlaylistFull as error:
            self.warn(f"{row['slug']}: {error}")

    def _new_playlist(self, row: Mapping[str, Any]) -> Playlist:
        columns = ("title", "slug", "description", "visibility", "created_at")
        poster = self._videos.get(row["poster_video"] or "")
        playlist = Playlist.objects.create(**{name: row[name] for name in columns}, poster_video=poster)
        keep_old_slugs(PlaylistSlug, "playlist", playlist, row["old_slugs"])
        self._give_picture(playlist, row["picture"])
        return playlist


def _known(document: Mapping[str, Any]) -> SourceFile | None:
    return SourceFile.objects.all().of_content(document["original"]["size"], document["original"]["sha256"])


def add_rows(video: Video, document: Mapping[str, Any]) -> None:
    """Add what a document says of a new video beyond its columns: chapters, old slugs, planned changes, featured."""
    Chapter.objects.filter(video=video).delete()
    Chapter.objects.bulk_create(Chapter(video=video, **chapter) for chapter in document["chapters"])
    keep_old_slugs(VideoSlug, "video", video, document["old_slugs"])
    planned = [each for each in document["planned"] if each["visibility"] != Visibility.PASSWORD]
    for each in planned:
        VisibilityChange.objects.create(video=video, **each)
    if document["featured_at"]:
        FeaturedVideo.objects.create(video=video, featured_at=document["featured_at"])


def keep_old_slugs(model: Any, owner: str, row: Any, slugs: Sequence[str]) -> None:
    """Have addresses of before lead to a row, where no other row uses them."""
    for slug in slugs:
        if not type(row).objects.taken(slug):
            model.objects.create(slug=slug, **{owner: row})
