"""An export becomes the same site: settings, categories, tags, videos with all that belongs to them, playlists."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.db import DataError, IntegrityError, models, transaction

from transcoding.engine import pictures
from transcoding.engine.package import files
from transcoding.engine.pictures import NotAPicture
from transcoding.queue.disk_quota import InsufficientSpace
from videos import archive, uploads
from videos.exports.documents import VIDEOS, slug_of
from videos.imports import belongings, documents, originals
from videos.imports.belongings import Texts
from videos.imports.documents import Exported, WrongExport
from videos.imports.folder import Refused
from videos.imports.run import Counts, WrongUse
from videos.imports.shapes import CueDocument
from videos.imports.taking import Known, Options, note_content
from videos.models import (
    Category,
    CategorySlug,
    Cue,
    OwnPage,
    Picture,
    Playlist,
    PlaylistFull,
    PlaylistSlug,
    SourceFile,
    Tag,
    TagSlug,
    Video,
    Visibility,
    footer,
)
from videos.models.addresses import free_slug_in
from videos.sidecars import MAX_POSTER_BYTES
from videos.storage.paths import chosen_poster_path, is_elsewhere, scratch
from vlog import site
from vlog.models import SiteSettings

NO_PASSWORD = "its password is not in the export, so it is private: set one in the admin."  # noqa: S105 - a sentence
INCOMPLETE = (
    "The export was not completed, so videos may be missing. Run manage.py export again where it was made, and then "
    "this command."
)
OWN_SETTINGS = "The settings of this site stay as they are: name, language, time zone, colour, logo, footer."
CONTRADICTION = "Its document contradicts itself: {}."


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
    _slugs: set[str] = field(default_factory=set)

    def run(self) -> list[Video]:
        """Import everything that the site has not; returns the new videos. Raises WrongUse before the first."""
        self._check_space()
        self._slugs = {document["slug"] for document in self.exported.videos.values()}
        if not self.exported.is_complete:
            self.warn(INCOMPLETE)
        if not self.options.dry_run:
            self._bring_site()
            self._bring_tags()
            self._bring_categories()
        for folder, document in self.exported.videos.items():
            self._one(folder, document)
        if not self.options.dry_run:
            for row in self.exported.playlists:
                self._bring_playlist(row)
        return self._new

    def _check_space(self) -> None:
        links = self.options.link
        if links and not self.exported.place.links():
            raise WrongUse("The originals cannot be linked, because they are elsewhere. Leave out --link.")
        documents = self.exported.videos.values()
        sizes = [each["original"]["size"] for each in documents if self.options.again or not _alike(each).exists()]
        needed = max(sizes, default=0) if is_elsewhere() else sum(sizes)  # each goes on to the store
        if needed and not links and (reason := originals.space_for(needed)):
            raise WrongUse(reason)

    def _one(self, folder: str, document: Mapping[str, Any]) -> None:
        key = folder.removeprefix(f"{VIDEOS}/")
        try:
            video = self._take(folder, document)
        except Known as known:
            self.counts.known += 1
            self._videos[key] = known.video
            self.say(f"Known: {key} is {known}.")
            return
        except (Refused, InsufficientSpace, WrongExport) as error:
            self.counts.refused += 1
            self.warn(f"Refused {key}: {error}")
            return
        self.counts.imported += 1
        where = " into the archive" if document["archived"] else ""
        if video is None:
            self.say(f"Would import {key}{where} as «{document['title']}».")
            return
        self._videos[key] = video
        self._new.append(video)
        self.say(f"Imported {key}{where} as «{video.title}» (video {video.pk}).")

    def _take(self, folder: str, document: Mapping[str, Any]) -> Video | None:
        """Make the video of a document; None in a dry run. Raises Known, Refused, WrongExport, InsufficientSpace."""
        said, place = document["original"], self.exported.place
        self._check_known(document)
        name = f"{folder}/{said['file']}"
        texts = [self._texts(folder, track) for track in document["captions"]]
        if self.options.dry_run:
            if not place.is_file(name):
                raise Refused("Its original is not in the export.")
            return None
        original = place.bring(name, said["size"], said["sha256"], link=self.options.link)
        try:
            if (original.size, original.sha256) != (said["size"], said["sha256"]):
                raise Refused("Its original is not the one that was exported: the file is damaged or was replaced.")
            return self._accepted(folder, original, document, texts)
        except uploads.UploadError as error:
            raise Refused(str(error)) from error
        except (IntegrityError, DataError) as error:
            raise Refused(CONTRADICTION.format(str(error).partition("\n")[0])) from error
        finally:
            original.discard()

    def _check_known(self, document: Mapping[str, Any]) -> None:
        """Raise Known where a video has this content that is none of another document: a site may have it twice."""
        if self.options.again:
            return
        own = [row.video for row in _alike(document) if row.video not in self._videos.values()]
        same = [video for video in own if slug_of(video) == document["slug"]]
        others = [video for video in own if slug_of(video) not in self._slugs]
        if found := [*same, *others]:
            raise Known(found[0])

    def _texts(self, folder: str, track: Mapping[str, Any]) -> Texts:
        versions = [(version, self._cues(folder, version["cues"])) for version in track["versions"]]
        return track, self._cues(folder, track["cues"]), versions

    def _cues(self, folder: str, file: str) -> list[Cue]:
        name = f"{folder}/{file}"
        rows = documents.load(self.exported.place, name).get("cues")
        form = CueDocument(data=rows, many=True)
        if not isinstance(rows, list) or not form.is_valid():
            raise WrongExport(f"{name} has cues that cannot be read.")
        return [Cue(**values) for values in form.validated_data]

    def _accepted(
        self, folder: str, original: originals.Original, document: Mapping[str, Any], texts: Sequence[Texts]
    ) -> Video:
        poster = self._poster(folder, document)

        def within(video: Video) -> None:
            note_content(video, original, self.exported.place.address(f"{folder}/{document['original']['file']}"))
            for sentence in belongings.add(video, document, texts):
                self.warn(f"{document['slug']}: {sentence}")

        with transaction.atomic():
            SourceFile.objects.all().lock_content(original.sha256)
            self._check_known(document)
            columns = self._columns(document)
            video = uploads.accept(original.path, name=document["source_name"], within=within, **columns)
            if poster:
                files.store(chosen_poster_path(video), poster)  # before the commit: the step `thumbnail` comes after it
            if document["archived"]:
                archive.bring(video, document["slug"], document["archived"]["by"], document["archived"]["at"])
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

    def _poster(self, folder: str, document: Mapping[str, Any]) -> bytes:
        """Return the poster that an editor had chosen; empty without one. Others are made of the video."""
        poster = document["poster"]
        if not poster or not poster["chosen"]:
            return b""
        jpeg = self._picture(f"{folder}/{poster['file']}")
        if not jpeg or sha256(jpeg).hexdigest() != poster["sha256"]:
            self.warn(f"{document['slug']}: its poster was not taken: the file is damaged or was replaced.")
            return b""
        return jpeg

    def _picture(self, name: str, beginning: bytes = b"\xff\xd8\xff") -> bytes:
        """Return a picture of the export as it is; empty where it is none that VLog has made."""
        with suppress(Refused, NotAPicture, OSError):
            data = self.exported.place.read(name, MAX_POSTER_BYTES + 1)
            if len(data) <= MAX_POSTER_BYTES and data.startswith(beginning):
                with scratch() as folder:
                    (copy := Path(folder) / "picture").write_bytes(data)
                    pictures.from_upload(copy, copy.parent)  # raises for what no decoder reads
                return data
        return b""

    def _bring_site(self) -> None:
        """Bring the settings, if the site has none, and the own pages that it has not."""
        settings, pages = self.exported.site.get("settings"), self.exported.site.get("pages", ())
        if settings and SiteSettings.objects.exists():
            self.say(OWN_SETTINGS)
        elif settings:
            logo = self._picture(settings["logo"], b"\x89PNG") if settings["logo"] else b""
            with transaction.atomic():
                site.save(SiteSettings(**{**settings, "logo": logo or None}))
        with transaction.atomic():
            for page in pages:
                if not OwnPage.objects.filter(slug=page["slug"]).exists():
                    OwnPage.objects.create(**page)
            footer.changed()

    def _bring_tags(self) -> None:
        for row in self.exported.tags:
            if not Tag.objects.filter(name__iexact=row["name"]).exists():
                slug = free_slug_in(Tag, row["name"], wanted=row["slug"])
                tag = Tag.objects.create(name=row["name"], slug=slug, **_created_at(row))
                belongings.keep_old_slugs(TagSlug, "tag", tag, row["old_slugs"])

    def _bring_categories(self) -> None:
        for row in self.exported.categories:
            found = Category.objects.at(row["slug"]) or Category.objects.filter(name__iexact=row["name"]).first()
            self._categories[row["slug"]] = found or self._new_category(row)

    def _new_category(self, row: Mapping[str, Any]) -> Category:
        columns = ("name", "slug", "description", "glossary", "position")
        category = Category.objects.create(**{name: row[name] for name in columns}, **_created_at(row))
        belongings.keep_old_slugs(CategorySlug, "category", category, row["old_slugs"])
        self._give_picture(category, row["picture"])
        return category

    def _give_picture(self, owner: Category | Playlist, name: str) -> None:
        if name and (jpeg := self._picture(name)):
            Picture.objects.give(owner, jpeg)

    def _bring_playlist(self, row: Mapping[str, Any]) -> None:
        """Create a playlist with its videos; one that there is gets the videos that this run has imported."""
        videos = [self._videos[key].pk for key in row["videos"] if key in self._videos]
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
        belongings.keep_old_slugs(PlaylistSlug, "playlist", playlist, row["old_slugs"])
        self._give_picture(playlist, row["picture"])
        return playlist


def _alike(document: Mapping[str, Any]) -> "models.QuerySet[SourceFile]":
    """Return what is known of the originals with the content of this one."""
    said = document["original"]
    rows = SourceFile.objects.filter(size=said["size"], sha256=said["sha256"], video__version_of=None)
    return rows.select_related("video__archive_entry").order_by("pk")


def _created_at(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return when a row was created, as far as the export says it: format 1 does not."""
    return {"created_at": row["created_at"]} if row["created_at"] else {}
