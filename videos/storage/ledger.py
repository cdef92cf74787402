"""Who takes how much of the disk: a row for each video, written when files were made, and measured again by beat."""

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
class Taken:
    """Bytes of one video on the disk; folders has those of each rendition by its name."""

    source: int
    renditions: int
    extras: int
    temporary: int
    folders: dict[str, int]

    @property
    def total(self) -> int:
        return self.source + self.renditions + self.extras + self.temporary


def measure(video: Video) -> Taken:
    """What lies on the disk, in the archive or outside of it; writes no row."""
    sources, packages = _places(video)
    source = sum(files.sizes(sources).values())
    found: Counter[str] = Counter()
    for package in packages:
        for name, size in files.sizes(package).items():
            found[_part_of(PurePosixPath(name))] += size
    folders = {name: size for name, size in sorted(found.items()) if RENDITION.fullmatch(name)}
    return Taken(source, sum(folders.values()), found["extras"], found["temporary"], folders)


def note(video: Video) -> Taken:
    """Measure a video and write its row; without one where the video is gone by then."""
    taken = measure(video)
    with transaction.atomic():
        # Its row is held, so that it cannot be purged in between.
        if Video.objects.select_for_update(no_key=True).filter(pk=video.pk).exists():
            columns: dict[str, Any] = {**vars(taken), "measured_at": timezone.now()}
            StorageEntry.objects.update_or_create(video_id=video.pk, defaults=columns)
    return taken


def totals() -> dict[str, int]:
    """Bytes of all videos by the rows: one number for each kind, that of the archive, and of all."""
    sums: dict[str, int] = StorageEntry.objects.aggregate(**{name: Coalesce(Sum(name), 0) for name in BYTES})
    rows = StorageEntry.objects.filter(video__deleted_at__isnull=False)
    archived = rows.aggregate(bytes=Coalesce(Sum(TOTAL), 0))["bytes"]
    found = {name: int(size) for name, size in sums.items()}
    return {**found, "total": sum(found.values()), "archive": int(archived)}


def _places(video: Video) -> tuple[Path, list[Path]]:
    if video.deleted_at is not None:
        home = paths.archive_dir(video)
        return home / "source", [home / "media"]
    return paths.sources() / str(video.pk), paths.packages_of(video)


def _part_of(path: PurePosixPath) -> str:
    """Which part of a package a file belongs to: a rendition by its name, extras, or temporary."""
    if any(part.endswith(UNFINISHED) for part in path.parts):
        return "temporary"
    return path.parts[0] if len(path.parts) > 1 and RENDITION.fullmatch(path.parts[0]) else "extras"
