"""What `manage.py doctor` asks about the files of videos: names and counts, where `verify_media` reads every byte."""

import secrets
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

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
    """Whether the object store does all that is asked of it: write, keep what is there, list, read, delete."""
    if not paths.is_elsewhere():
        yield Finding(State.GREEN, "videos lie in the data folder")
        return
    trial = paths.root() / f"trial-{secrets.token_hex(8)}"
    files.store(trial / "file", b"1")
    kept = not files.store(trial / "file", b"2", replace=False) and (trial / "file").read_bytes() == b"1"
    listed = files.names(trial) == ["file"]
    files.remove(trial)
    if kept and listed and files.names(trial) == []:
        yield Finding(State.GREEN, "the object store takes, keeps, lists, gives and deletes files")
    else:
        sentence = "the object store writes over what is there (If-None-Match: *), or does not list what was written"
        yield Finding(State.RED, sentence, "Choose another one, or a newer release of it: docs/storage.md.")


def check_videos() -> Iterator[Finding]:
    """Every ready video against what lies in its folders; those that something is wrong with are looked at twice."""
    suspects = [video.pk for video in _rows(ready()) if not (_plays(video) and paths.source_path(video).is_file())]
    # Meanwhile one may have been archived.
    suspicious = list(_rows(ready().filter(pk__in=suspects))) if suspects else []
    dead = [video.title for video in suspicious if not _plays(video)]
    bare = [video.title for video in suspicious if not paths.source_path(video).is_file()]
    nameless = list(ready().filter(qualities=None).values_list("title", flat=True))
    findings = []
    if dead:
        sentence = f"{len(dead)} videos cannot be played, their files are missing: {titles(dead)}"
        findings.append(Finding(State.RED, sentence, "manage.py verify_media tells of each what to do."))
    if nameless:
        sentence = f"{len(nameless)} videos have no rows of their qualities: {titles(nameless)}"
        findings.append(Finding(State.RED, sentence, "Restore a backup, or upload their originals again."))
    if bare:
        sentence = f"the originals of {len(bare)} videos are missing: {titles(bare)}"
        findings.append(Finding(State.AMBER, sentence, "They play. Restore the originals from a backup."))
    yield from findings or [Finding(State.GREEN, f"all {ready().count()} that are ready have their files")]


def _rows(videos: VideoQuerySet) -> Iterator[Video]:
    return videos.only("pk", "media_key", "title", "source_name").iterator()


def _plays(video: Video) -> bool:
    return (paths.package_dir(video) / "master.m3u8").is_file()


def check_leftovers() -> Iterator[Finding]:
    """Files that nobody needs, or that lie where they do not belong."""
    findings = []
    if misplaced := list(archive.misplaced()):
        advice = "beat moves them within a minute."
        sentence = f"the files of {len(misplaced)} videos lie elsewhere than their rows say"
        findings.append(Finding(State.AMBER, sentence, advice, _put_in_place))
    orphans, strangers = paths.orphans()
    for found, what in ((_old(orphans), "belong to no video"), (_half_written(), "were never finished")):
        if found:
            sentence = f"{len(found)} folders or files {what}, for more than a day: {_names(found)}"
            findings.append(Finding(State.AMBER, sentence, "Delete them.", partial(_remove, found)))
    if left := uploads.leftovers():
        sentence = f"{len(left)} uploads were cut off more than a day ago"
        findings.append(Finding(State.AMBER, sentence, "beat removes them every hour.", _sweep))
    if strangers:
        sentence = f"{len(strangers)} entries among the folders of videos are none: {_names(strangers)}"
        findings.append(Finding(State.AMBER, sentence, "Move them away."))
    yield from findings or [Finding(State.GREEN, "there are none")]


def _half_written() -> list[Path]:
    """In the folders of ready videos, whatever was begun to be written; the ledger knows which to look at."""
    videos = ready().filter(storage_entry__temporary__gt=0)
    return _old(part for video in videos for part in paths.package_dir(video).rglob(f".*{UNFINISHED}"))


def _old(paths: Iterable[Path]) -> list[Path]:
    limit = time.time() - DAY
    return [path for path in paths if path.exists() and files.touched(path) < limit]


def _names(paths: list[Path]) -> str:
    return titles([f"{path.parent.name}/{path.name}" for path in paths])


def _put_in_place() -> str:
    return f"The files of {archive.reconcile()} videos were moved to where they belong."


def _sweep() -> str:
    return f"{uploads.sweep_leftovers()} files of uploads were removed."


def _remove(paths: list[Path]) -> str:
    for path in paths:
        if path.is_dir():
            files.remove(path)
        else:
            path.unlink(missing_ok=True)
    return f"{len(paths)} folders or files were removed: {_names(paths)}."
