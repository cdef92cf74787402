"""Checks of `manage.py doctor` on the files of videos: names and counts only, while `verify_media` reads every byte."""

import secrets
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from django.template.defaultfilters import pluralize

from transcoding.engine.package import files
from transcoding.engine.package.files import UNFINISHED
from transcoding.operations.doctor import titles
from transcoding.operations.package_check import ready
from videos import archive, uploads
from videos.models import Video, VideoQuerySet
from videos.storage import paths
from vlog.health import Finding, State

DAY = 24 * 3600


def check_storage() -> Iterator[Finding]:
    """Check that the object store can write, keep existing objects, list, read and delete."""
    if not paths.is_elsewhere():
        yield Finding(State.GREEN, "videos are stored in the data folder")
        return
    trial = paths.root() / f"trial-{secrets.token_hex(8)}"
    files.store(trial / "file", b"1")
    kept = not files.store(trial / "file", b"2", replace=False) and (trial / "file").read_bytes() == b"1"
    listed = files.names(trial) == ["file"]
    files.remove(trial)
    if kept and listed and files.names(trial) == []:
        yield Finding(State.GREEN, "the object store can write, keep, list, read and delete files")
    else:
        message = "the object store overwrites existing objects (ignores If-None-Match: *) or does not list new ones"
        yield Finding(State.RED, message, "Use another store or a newer release of it: docs/storage.md.")


def check_videos() -> Iterator[Finding]:
    """Check that every ready video has its files; videos that fail are checked twice."""
    suspects = [video.pk for video in _rows(ready()) if not (_plays(video) and paths.source_path(video).is_file())]
    # A video may have been archived between the query and the look at its files.
    suspicious = list(_rows(ready().filter(pk__in=suspects))) if suspects else []
    unplayable = [video.title for video in suspicious if not _plays(video)]
    without_original = [video.title for video in suspicious if not paths.source_path(video).is_file()]
    without_qualities = list(ready().filter(qualities=None).values_list("title", flat=True))
    findings = []
    if unplayable:
        message = f"{_videos(unplayable)} cannot be played because of missing files: {titles(unplayable)}"
        findings.append(Finding(State.RED, message, "Run manage.py verify_media: it says what to do about each."))
    if without_qualities:
        message = f"{_videos(without_qualities)} without rows in video_qualities: {titles(without_qualities)}"
        findings.append(Finding(State.RED, message, "Restore a backup, or upload the originals again."))
    if without_original:
        message = f"{_videos(without_original)} without an original: {titles(without_original)}"
        findings.append(Finding(State.AMBER, message, "Viewers can watch; restore the originals from a backup."))
    yield from findings or [Finding(State.GREEN, f"{_number(ready().count(), 'ready video')} with all files")]


def _number(count: int, noun: str) -> str:
    """Return a count with its noun: "1 video", "2 videos"."""
    return f"{count} {noun}{pluralize(count)}"


def _videos(found: list[str]) -> str:
    return _number(len(found), "video")


def _rows(videos: VideoQuerySet) -> Iterator[Video]:
    return videos.only("pk", "media_key", "title", "source_name").iterator()


def _plays(video: Video) -> bool:
    return (paths.package_dir(video) / "master.m3u8").is_file()


def check_leftovers() -> Iterator[Finding]:
    """Check for misplaced, orphaned, unfinished and unknown files."""
    findings = []
    if misplaced := len(list(archive.misplaced())):
        message = f"the files of {_number(misplaced, 'video')} are misplaced"
        findings.append(Finding(State.AMBER, message, "The scheduler moves them within a minute.", _reconcile))
    orphans, unknown = paths.orphans()
    for found, kind in ((_old(orphans), "without a video"), (_unfinished(), "unfinished")):
        if found:
            message = f"{_entries(len(found))} {kind} for more than a day: {_names(found)}"
            findings.append(Finding(State.AMBER, message, "Delete them.", partial(_remove, found)))
    if interrupted := uploads.leftovers():
        message = f"{_number(len(interrupted), 'upload')} interrupted more than a day ago"
        findings.append(Finding(State.AMBER, message, "The scheduler removes them every hour.", _sweep))
    if unknown:
        message = f"{_entries(len(unknown))} among the folders of videos that VLog does not know: {_names(unknown)}"
        findings.append(Finding(State.AMBER, message, "Move them to another folder."))
    yield from findings or [Finding(State.GREEN, "no leftovers")]


def _entries(count: int) -> str:
    return f"{count} entr{pluralize(count, 'y,ies')}"


def _unfinished() -> list[Path]:
    """Return old unfinished files of ready videos; the ledger says which videos have any."""
    videos = ready().filter(storage_entry__temporary__gt=0)
    return _old(path for video in videos for path in paths.package_dir(video).rglob(f".*{UNFINISHED}"))


def _old(paths: Iterable[Path]) -> list[Path]:
    limit = time.time() - DAY
    return [path for path in paths if path.exists() and files.touched(path) < limit]


def _names(paths: list[Path]) -> str:
    return titles([f"{path.parent.name}/{path.name}" for path in paths])


def _reconcile() -> str:
    return f"Moved the files of {_number(archive.reconcile(), 'video')} to their folders."


def _sweep() -> str:
    return f"Removed {_number(uploads.sweep_leftovers(), 'interrupted upload')}."


def _remove(paths: list[Path]) -> str:
    for path in paths:
        if path.is_dir():
            files.remove(path)
        else:
            path.unlink(missing_ok=True)
    return f"Removed {_entries(len(paths))}: {_names(paths)}."
