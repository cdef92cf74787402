"""Disk usage by video: one row each, written when files are made and measured again periodically."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from django.db import transaction
from django.db.models import F, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from transcoding.engine.package import files
from transcoding.engine.package.files import UNFINISHED
from transcoding.engine.renditions import KEY
from videos.models import StorageEntry, Video
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
    sources, packages = _folders(video)
    source = sum(files.sizes(sources).values())
    found: Counter[str] = Counter()
    for package in packages:
        for name, size in files.sizes(package).items():
            found[_part_of(PurePosixPath(name))] += size
    folders = {name: size for name, size in sorted(found.items()) if RENDITION.fullmatch(name)}
    return Usage(source, sum(folders.values()), found["extras"], found["temporary"], folders)


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


def _folders(video: Video) -> tuple[Path, list[Path]]:
    """Return the folder of a video's original and the folders of its package."""
    if video.deleted_at is not None:
        home = paths.archive_dir(video)
        return home / "source", [home / "media"]
    return paths.sources() / str(video.pk), paths.packages_of(video)


def _part_of(path: PurePosixPath) -> str:
    """Return which part of a package a file belongs to: the name of a rendition, "extras" or "temporary"."""
    if any(part.endswith(UNFINISHED) for part in path.parts):
        return "temporary"
    return path.parts[0] if len(path.parts) > 1 and RENDITION.fullmatch(path.parts[0]) else "extras"
