"""One file of a folder becomes a video, unless its content is that of a video already."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from django.db import transaction

from videos import uploads
from videos.imports import descriptions, names, originals
from videos.imports.details import Details
from videos.imports.folder import Entry, Refused, opened
from videos.imports.originals import Original
from videos.models import Chapter, PlaylistFull, SourceFile, Video
from videos.sidecars import Sidecar
from videos.uploads.completion import EMPTY, clean, title_of

MAX_SIDECAR = 10 << 20  # bytes


class Known(Exception):
    """A video has this content already."""

    def __init__(self, video: Video) -> None:
        super().__init__(f"«{video.title}» (video {video.pk}{', in the archive' if video.deleted_at else ''})")
        self.video = video


@dataclass(frozen=True)
class Options:
    """How files are taken: again although they are known, as links, and created with missing categories.

    tick: called after each block that is read; what it raises ends the import.
    """

    again: bool = False
    link: bool = False
    create: bool = False
    dry_run: bool = False
    tick: Callable[[], object] = lambda: None


@dataclass
class Taken:
    """A video that was made of a file, or would be; the sidecars that belong to it, and what was left out."""

    title: str
    video: Video | None = None
    beside: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    linked: bool = False


def take(entry: Entry, given: Details, options: Options) -> Taken:
    """Make a video of a file. Raises Known, Refused, and InsufficientSpace where it does not fit now."""
    with opened(entry) as file:
        known = _look_up(entry, file, options)
        details, notes = _described(entry, given, options)
        taken = Taken(details.title or title_of(entry.path.name), notes=notes)
        beside = _sidecars(entry, taken)
        if options.dry_run:
            return taken
        original = originals.bring(file, link=options.link, known=known, tick=options.tick)
        changed_ns = os.fstat(file.fileno()).st_mtime_ns
    taken.linked = original.linked
    try:
        taken.video = _accepted(entry, original, details, beside, taken.notes, options, changed_ns)
        return taken
    except uploads.UploadError as error:
        raise Refused(str(error)) from error
    finally:
        original.discard()  # accepted and renamed, or refused


def _look_up(entry: Entry, file: BinaryIO, options: Options) -> str:
    """Return the SHA-256 of a file if it had to be read, which is only where an original has its size. Raises Known."""
    status = os.fstat(file.fileno())
    if status.st_size == 0:
        raise Refused(EMPTY)
    rows, path = SourceFile.objects.all(), path_text(entry.path)
    if options.again or not rows.of_size(status.st_size):
        return ""
    if found := rows.unchanged(path, status.st_size, status.st_mtime_ns):
        raise Known(found.video)
    digest = originals.digest(file, options.tick)
    if found := rows.of_content(status.st_size, digest):
        if not options.dry_run:
            found.seen_at(path, status.st_mtime_ns)
        raise Known(found.video)
    return digest


def path_text(path: Path) -> str:
    """Return an absolute path as the database can have it; too long ones are cut."""
    return str(path.absolute()).encode(errors="replace").decode().replace("\x00", "")[:1000]


def _described(entry: Entry, given: Details, options: Options) -> tuple[Details, list[str]]:
    """Return the details of a video: those that are given, and else those of the files beside it."""
    found, notes = descriptions.read(entry.described)
    if found.category and not given.category and names.category(found.category) is None:
        if options.create and not options.dry_run:
            names.create([found.category], [])
        elif not options.create:
            notes.append(f"There is no category “{found.category}”; --create creates it.")
            found = Details(**{**found.__dict__, "category": ""})
    return given.over(found), notes


def _sidecars(entry: Entry, taken: Taken) -> list[Sidecar]:
    found = []
    for path in entry.beside:
        try:
            size = path.stat().st_size
        except OSError:
            continue  # it was removed at this moment
        if size > MAX_SIDECAR:
            taken.notes.append(f"{path.name} was left out: it is larger than {MAX_SIDECAR >> 20} MB.")
            continue
        found.append(Sidecar(path, clean(path.name)))
        taken.beside.append(clean(path.name))
    return found


def _accepted(  # noqa: PLR0913 - what is known of the file
    entry: Entry,
    original: Original,
    details: Details,
    beside: Sequence[Sidecar],
    notes: list[str],
    options: Options,
    changed_ns: int,
) -> Video:
    def within(video: Video) -> None:
        note_content(video, original, path_text(entry.path), changed_ns)
        if details.chapters:
            Chapter.objects.replace(video.pk, details.chapters)
        notes.extend(add_to_playlists(video, details.playlists))

    with transaction.atomic():
        SourceFile.objects.all().lock_content(original.sha256)
        known = SourceFile.objects.all().of_content(original.size, original.sha256)
        if known and not options.again:
            raise Known(known.video)
        name = entry.path.name.encode(errors="replace").decode()
        return uploads.accept(
            original.path, name=name, beside=beside, tell=notes.append, within=within, **columns(details)
        )


def note_content(video: Video, original: Original, path: str = "", changed_ns: int | None = None) -> None:
    """Note the content of a new video's original."""
    SourceFile.objects.create(
        video=video, number=video.pk, size=original.size, sha256=original.sha256, path=path, changed_ns=changed_ns
    )


def columns(details: Details) -> dict[str, Any]:
    """Return what `uploads.accept` takes of details."""
    found: dict[str, Any] = {
        "title": details.title,
        "description": details.description,
        "category": names.category(details.category) if details.category else None,
        "tags": details.tags,
        "visibility": details.visibility,
        "publish_early": bool(details.publish_early),
        "downloads": bool(details.downloads),
        "slug": details.slug,
    }
    return found | ({"published_at": details.published_at} if details.published_at else {})


def add_to_playlists(video: Video, playlists: Sequence[str]) -> list[str]:
    """Add a new video to these playlists; returns sentences about those that are full."""
    notes = []
    for name in playlists:
        row = names.playlist(name)
        try:
            if row is not None:
                row.add([video.pk])
        except PlaylistFull as error:
            notes.append(f"“{name}”: {error}")
    return notes
