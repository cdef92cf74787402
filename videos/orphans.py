"""Folders that no row accounts for: orphans, misplaced ones, and those that `move_files` has yet to move.

A folder may exist before the row that it belongs to is committed, be renamed before its row says so, and be removed
after its row. So a folder is named only if two looks in a row found it, and one whose removal is advised only if
nothing was written or renamed in it for an hour. However busy the site is, nothing that arrives is taken for an orphan.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, TypeVar

from django.conf import settings
from django.utils import timezone

from transcoding.engine.package import files
from transcoding.models import TranscodingJob
from videos.models import Video
from videos.storage import paths
from vlog.sentences import counted

HOUR = 3600  # seconds
PAUSE = 2.0  # seconds between two looks
SHOWN = 3  # folders in a sentence
UNMOVED = "on this machine's disk and not in the object store"
MOVE = "Stop VLog, and run manage.py move_files: docs/storage.md."

NUMBER = re.compile(r"\d{1,10}")
PACKAGE = re.compile(r"(\d{1,10})-([0-9a-f]{32})")
PURGED = re.compile(r"purged-(\d{1,10})")

Found = TypeVar("Found")


class Kind(StrEnum):
    """Why a folder is named, and what to do about it."""

    ORPHAN = "belongs to no video. Delete it."
    UNKNOWN = "is not the folder of a video. Move it to another folder."
    MISPLACED = (
        "is not where the row of its video says. The scheduler moves it within a minute: make sure that manage.py up "
        "runs."
    )
    UNMOVED = "is not in the object store yet"


@dataclass(frozen=True)
class Folder:
    path: Path
    kind: Kind

    @property
    def name(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}"


class _Row(NamedTuple):
    media_key: str  # of the package with this number; empty where no package has it
    is_archived: bool


def seen_twice(look: Callable[[], Iterable[Found]]) -> list[Found]:
    """Return what two looks in a row find. The second one is taken only where the first finds anything."""
    first = list(look())
    if not first:
        return []
    time.sleep(PAUSE)
    second = set(look())
    return [each for each in first if each in second]


def find() -> list[Folder]:
    """Return the folders that no row accounts for, whatever the site is doing meanwhile."""
    return seen_twice(lambda: look(HOUR))


def look(older_than: float = 0) -> Iterator[Folder]:
    """Yield the folders that no row accounts for at this moment; those of videos that are arriving may be among them.

    older_than: seconds since a folder was last written or renamed, if it is to be deleted or moved elsewhere.
    """
    limit = timezone.now().timestamp() - older_than
    for folder in [*_wrong(), *_unmoved()]:
        # Some object stores go on listing a folder for a while after its last file was deleted.
        if folder.path.exists() and (folder.kind == Kind.MISPLACED or _is_older(folder.path, limit)):
            yield folder


def sentences(found: Iterable[Folder]) -> list[str]:
    """Return a sentence for each folder, and one for all that have yet to be moved."""
    folders = list(found)
    unmoved = [folder.name for folder in folders if folder.kind == Kind.UNMOVED]
    each = [f"{folder.name} {folder.kind}" for folder in folders if folder.kind != Kind.UNMOVED]
    return [*each, *([_about_unmoved(unmoved)] if unmoved else [])]


def _about_unmoved(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    number = counted(len(names), "folder is", "folders are")
    return f"{number} {UNMOVED}: {', '.join(names[:SHOWN])}{more}. {MOVE}"


def _is_older(path: Path, limit: float) -> bool:
    try:
        return files.touched(path) <= limit
    except FileNotFoundError:
        return False


def _wrong() -> Iterator[Folder]:
    """Yield the folders that no row accounts for; the names are read before the rows."""
    names = {
        paths.sources(): sorted(files.names(paths.sources())),
        paths.packages(): sorted(paths.folders_of_packages()),
        paths.archives(): sorted(files.names(paths.archives())),
    }
    rows = _rows()
    judges = (_judge_source, _judge_package, _judge_archive)
    purged = {match[1] for name in names[paths.archives()] if (match := PURGED.fullmatch(name))}
    for folder, judge in zip(names, judges, strict=True):
        for name in names[folder]:
            kind = judge(name, rows)
            if kind is not None and not (folder == paths.archives() and name in purged):
                yield Folder(folder / name, kind)


def _rows() -> dict[str, _Row]:
    """Return the rows of videos by all numbers under which they have folders."""
    rows: dict[str, _Row] = {}
    columns = ("pk", "media_key", "deleted_at", "package_number", "source_number")
    for video in Video.objects.only(*columns).iterator():
        package, is_archived = paths.package_number(video), video.deleted_at is not None
        for number in paths.numbers(video) - {package}:
            rows.setdefault(str(number), _Row("", is_archived))
        rows[str(package)] = _Row(video.media_key, is_archived)
    return rows


def _judge_source(name: str, rows: dict[str, _Row]) -> Kind | None:
    if NUMBER.fullmatch(name) is None:
        return Kind.UNKNOWN
    row = rows.get(name)
    if row is None:
        return Kind.ORPHAN
    return Kind.MISPLACED if row.is_archived else None


def _judge_package(name: str, rows: dict[str, _Row]) -> Kind | None:
    match = PACKAGE.fullmatch(name)
    if match is None:
        return Kind.UNKNOWN
    row = rows.get(match[1])
    if row is None or not row.media_key:
        return Kind.ORPHAN
    return Kind.MISPLACED if row.is_archived or row.media_key != match[2] else None


def _judge_archive(name: str, rows: dict[str, _Row]) -> Kind | None:
    if PURGED.fullmatch(name):
        return None  # the sweep completes the purge
    if NUMBER.fullmatch(name) is None:
        return Kind.UNKNOWN
    row = rows.get(name)
    if row is None:
        return Kind.ORPHAN
    return None if row.is_archived else Kind.MISPLACED


def _unmoved() -> Iterator[Folder]:
    """Yield the folders on this machine's disk where videos lie in an object store; not originals that are arriving."""
    if not paths.is_elsewhere():
        return
    local = (settings.SOURCES_DIR, settings.MEDIA_DIR, settings.ARCHIVE_DIR)
    found = [folder / name for folder in local for name in sorted(files.names(folder))]
    arriving = {str(pk) for pk in TranscodingJob.objects.arriving().values_list("video", flat=True)} if found else set()
    for path in found:
        if not (path.parent == settings.SOURCES_DIR and path.name in arriving):
            yield Folder(path, Kind.UNMOVED)
