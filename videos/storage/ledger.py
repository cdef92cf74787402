"""Disk usage by video: one row each, written when files are made and measured again periodically."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from django.db import transaction
from django.db.models import F, Q, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from transcoding.engine.package import files
from transcoding.engine.package.files import UNFINISHED
from transcoding.engine.renditions import KEY
from videos.models import StorageEntry, Video, VideoQuerySet, folder_number
from videos.storage import paths

RENDITION = re.compile(KEY)
BYTES = ("source", "renditions", "extras", "temporary")
TOTAL = sum((F(name) for name in BYTES[1:]), F(BYTES[0]))


@dataclass(frozen=True)
class Usage:
    """The bytes that one video takes on the disk; `folders` maps the name of each rendition to its bytes."""

    source: int
    renditions: int
    extras: int
    temporary: int
    folders: dict[str, int]

    @property
    def total(self) -> int:
        return self.source + self.renditions + self.extras + self.temporary


def measure(video: Video) -> Usage:
    """Return the disk usage of a video, archived or not, without writing its row."""
    found: Counter[str] = Counter()
    for package in [paths.archived_package(video)] if video.deleted_at else paths.packages_of(video):
        for name, size in files.sizes(package).items():
            found[_part_of(PurePosixPath(name))] += size
    folders = {name: size for name, size in sorted(found.items()) if RENDITION.fullmatch(name)}
    return Usage(_source_bytes(video), sum(folders.values()), found["extras"], found["temporary"], folders)


def note(video: Video) -> Usage:
    """Measure a video and write its row, unless the video has been purged meanwhile."""
    usage = measure(video)
    with transaction.atomic():
        # The lock keeps a purge from deleting the video in between.
        if Video.objects.select_for_update(no_key=True).filter(pk=video.pk).exists():
            columns: dict[str, Any] = {**vars(usage), "measured_at": timezone.now()}
            StorageEntry.objects.update_or_create(video_id=video.pk, defaults=columns)
    return usage


def totals() -> dict[str, int]:
    """Return the bytes of all videos according to the rows: by kind, of the archive, and in total."""
    sums: dict[str, int] = StorageEntry.objects.aggregate(**{name: Coalesce(Sum(name), 0) for name in BYTES})
    rows = StorageEntry.objects.filter(video__deleted_at__isnull=False)
    archived = rows.aggregate(bytes=Coalesce(Sum(TOTAL), 0))["bytes"]
    found = {name: int(size) for name, size in sums.items()}
    return {**found, "total": sum(found.values()), "archive": int(archived)}


def _source_bytes(video: Video) -> int:
    """Return the bytes of the original and of the editor's poster. Versions of one original count it once."""
    own, chosen = paths.source_number(video), paths.chosen_poster_path(video)
    sizes = {number: files.sizes(_source_folder(video, number)) for number in {own, int(chosen.parent.name)}}
    posters = sum(folder.pop(chosen.name, 0) for folder in sizes.values())
    is_first = video.version_of_id is None or not is_source_counted(video)
    return (sum(sizes[own].values()) if is_first else 0) + (posters if video.version_of_id is None else 0)


def _source_folder(video: Video, number: int) -> Path:
    return paths.archives() / str(number) / "source" if video.deleted_at else paths.sources() / str(number)


def is_source_counted(version: Video) -> bool:
    """Return whether the video, or an older holder, has the original of this holder of a version."""
    return sharing(version).filter(Q(version_of=None) | Q(pk__lt=version.pk)).exists()


def sharing(row: Video) -> VideoQuerySet:
    """Return the other rows that have the same original: re-encoded versions."""
    rows = Video.objects.with_versions(row.pk).exclude(pk=row.pk)
    return rows.alias(source=folder_number("source_number")).filter(source=paths.source_number(row))


def _part_of(path: PurePosixPath) -> str:
    """Return which part of a package a file belongs to: the name of a rendition, "extras" or "temporary"."""
    if any(part.endswith(UNFINISHED) for part in path.parts):
        return "temporary"
    return path.parts[0] if len(path.parts) > 1 and RENDITION.fullmatch(path.parts[0]) else "extras"
