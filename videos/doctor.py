"""Checks of `manage.py doctor` on the files of videos: names and counts only, while `verify_media` reads every byte."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from django.utils import timezone
from django.utils.module_loading import import_string

from transcoding.engine.package import files
from transcoding.engine.package.files import UNFINISHED
from transcoding.operations.doctor import titles
from transcoding.operations.package_check import ready
from videos import archive, orphans, uploads
from videos.models import Video, VideoQuerySet, Webhook
from videos.orphans import Kind
from videos.storage import paths, placement
from vlog.health import Finding, State
from vlog.sentences import counted

DAY = 24 * 3600
TRIAL = "videos.storage.trial.failures"  # imported only where it is used: the S3 client loads slowly


def check_storage() -> Iterator[Finding]:
    """Check that the object store does all that VLog needs of it; each condition that it fails is a finding."""
    if not paths.is_elsewhere():
        yield Finding(State.GREEN, "videos are stored in the data folder")
        return
    failures = list(import_string(TRIAL)())
    for condition, reason in failures:
        message = f"the object store does not {condition}: {reason.rstrip('.')}"
        yield Finding(State.RED, message, "docs/storage.md says what to do about each of these conditions.")
    if not failures:
        yield Finding(State.GREEN, "the object store writes, keeps, reads, lists, copies and deletes files")


def check_videos() -> Iterator[Finding]:
    """Check that every ready video has its files."""
    incomplete = _incomplete()
    unmoved = [video for video in incomplete if paths.is_unmoved(video)]
    lost = [video for video in incomplete if video not in unmoved]
    unplayable = [video.title for video in lost if not _plays(video)]
    without_original = [video.title for video in lost if not _has_original(video)]
    without_qualities = list(ready().filter(qualities=None).values_list("title", flat=True))
    findings = []
    if unmoved:
        message = f"{_files_of(len(unmoved))} {orphans.UNMOVED}: {_titles(unmoved)}"
        findings.append(Finding(State.RED, message, orphans.MOVE))
    if unplayable:
        message = f"{_videos(unplayable)} cannot be played because of missing files: {titles(unplayable)}"
        findings.append(Finding(State.RED, message, "Run manage.py verify_media: it says what to do about each."))
    if without_qualities:
        have = counted(len(without_qualities), "video has", "videos have")
        message = f"{have} no rows in video_qualities: {titles(without_qualities)}"
        findings.append(Finding(State.RED, message, "Restore a backup, or upload the originals again."))
    if without_original:
        have = counted(len(without_original), "video has lost its original", "videos have lost their originals")
        message = f"{have}: {titles(without_original)}"
        findings.append(Finding(State.AMBER, message, "Viewers can watch; restore the originals from a backup."))
    if not findings:
        complete = counted(ready().count(), "ready video has all its files", "ready videos have all their files")
        findings.append(Finding(State.GREEN, complete))
    yield from findings


def check_webhooks() -> Iterator[Finding]:
    """Check that no webhook was disabled because it failed for a week."""
    disabled = list(Webhook.objects.disabled())
    for webhook in disabled:
        message = f"the webhook to {urlsplit(webhook.address).hostname} was disabled after a week of failures"
        advice = "Correct its receiver, then activate it in the admin under Webhooks."
        yield Finding(State.AMBER, message, advice, key=f"webhook {webhook.pk}", is_sure=True)
    if not disabled:
        yield Finding(State.GREEN, f"{counted(Webhook.objects.active().count(), 'webhook')} active")


def _incomplete() -> list[Video]:
    """Return the ready videos without all their files; not those that were being moved in the meantime."""
    suspects = [video for video in _rows(ready()) if not (_plays(video) and _has_original(video))]
    stayed = placement.unmoved_since(suspects, wait=False) if suspects else ()
    return [video for video in suspects if video.pk in stayed]


def _videos(found: list[str]) -> str:
    return counted(len(found), "video")


def _files_of(number: int) -> str:
    return f"the files of {counted(number, 'video')} are"


def _titles(videos: list[Video]) -> str:
    return titles([video.title for video in videos])


def _rows(videos: VideoQuerySet) -> Iterator[Video]:
    columns = ("pk", "media_key", "misplaced", "title", "source_name", "package_number", "source_number")
    return videos.only(*columns).iterator()


def _plays(video: Video) -> bool:
    return (paths.package_dir(video) / "master.m3u8").is_file()


def _has_original(video: Video) -> bool:
    return paths.source_path(video).is_file()


def check_leftovers() -> Iterator[Finding]:
    """Check for misplaced, orphaned, unfinished and unknown files."""
    findings = [*_misplaced(), *_without_a_video(), *_interrupted()]
    yield from findings or [Finding(State.GREEN, "no leftovers")]


def _misplaced() -> Iterator[Finding]:
    if misplaced := len(orphans.seen_twice(archive.misplaced)):
        message, advice = f"{_files_of(misplaced)} misplaced", "The scheduler moves them within a minute."
        yield Finding(State.AMBER, message, advice, _reconcile)


def _without_a_video() -> Iterator[Finding]:
    found = orphans.find()
    if old := _old(folder.path for folder in found if folder.kind == Kind.ORPHAN):
        belong = counted(len(old), "folder belongs", "folders belong")
        message = f"{belong} to no video, unchanged for a day: {_names(old)}"
        yield Finding(State.AMBER, message, "Delete what you do not need.", partial(_remove, old))
    if unknown := [folder.path for folder in found if folder.kind == Kind.UNKNOWN]:
        message = f"{counted(len(unknown), 'entry is', 'entries are')} not the folder of a video: {_names(unknown)}"
        yield Finding(State.AMBER, message, "Move them to another folder.")
    if unmoved := [folder.path for folder in found if folder.kind == Kind.UNMOVED]:
        message = f"{counted(len(unmoved), 'folder is', 'folders are')} {orphans.UNMOVED}: {_names(unmoved)}"
        yield Finding(State.AMBER, message, orphans.MOVE)


def _interrupted() -> Iterator[Finding]:
    if unfinished := _unfinished():
        were = counted(len(unfinished), "file was", "files were")
        message = f"{were} not finished within a day: {_names(unfinished)}"
        yield Finding(State.AMBER, message, "Delete them.", partial(_remove, unfinished))
    if interrupted := uploads.leftovers():
        message = f"{counted(len(interrupted), 'interrupted upload has', 'interrupted uploads have')} left files"
        yield Finding(State.AMBER, message, "The scheduler removes them every ten minutes.", _sweep)


def _unfinished() -> list[Path]:
    """Return old unfinished files of ready videos; the ledger says which videos have any."""
    videos = ready().filter(storage_entry__temporary__gt=0)
    return _old(path for video in videos for path in paths.package_dir(video).rglob(f".*{UNFINISHED}"))


def _old(paths: Iterable[Path]) -> list[Path]:
    limit = timezone.now().timestamp() - DAY
    return [path for path in paths if path.exists() and files.touched(path) < limit]


def _names(paths: list[Path]) -> str:
    return titles([f"{path.parent.name}/{path.name}" for path in paths])


def _reconcile() -> str:
    return f"Moved the files of {counted(archive.reconcile(), 'video')} to their folders."


def _sweep() -> str:
    return f"Removed {counted(uploads.sweep_leftovers(), 'interrupted upload')}."


def _remove(paths: list[Path]) -> str:
    for path in paths:
        if path.is_dir():
            files.remove(path)
        else:
            path.unlink(missing_ok=True)
    return f"Removed {counted(len(paths), 'entry', 'entries')}: {_names(paths)}."
