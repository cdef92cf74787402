"""Where the files of a video lie: its row says where they belong, and `relocate` moves them there.

    sources/<number>            the original
    media/<number>-<key>        the package, served to everybody who knows the key
    archive/<number>/source     both, of an archived video
    archive/<number>/media
    archive/purged-<number>     an empty file: a purge has begun, and the folder is removed when the row is gone

The numbers are the id of the video, until another version of its file takes over: `paths.numbers`.

A trigger gives a video another media key as soon as fewer people may watch it, and marks it as misplaced. Its files
move right after the commit (`relocate_after_commit`), or with the next sweep. Meanwhile workers may be writing into the
package. Each of them either holds the lock of the row (`locked`), or asks the row before and after (`store`, `stays`)
and writes again where the package has moved in between.
"""

import logging
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from django.db import transaction
from django.db.models import Q

from transcoding.engine.package import files
from videos.models import Transcription, Video
from videos.storage import paths
from vlog import queries

log = logging.getLogger(__name__)

FOLLOWED = ("media_key", "misplaced", "deleted_at", "package_number", "source_number")
CAPTIONS_FILE = re.compile(r"captions(?:-\d+|/[^/]+)\.vtt$")  # of a package


def relocate(video: Video) -> None:
    """Move a video's files to where its row says. Call it with the row locked."""
    paths.forget_open(video.pk)
    archived, package = paths.archived_package(video), paths.package_dir(video)
    is_archived = video.deleted_at is not None
    for number in sorted(paths.numbers(video)):
        purge_mark(number).unlink(missing_ok=True)
        sources, home = paths.sources() / str(number), paths.archives() / str(number)
        files.move(*((sources, home / "source") if is_archived else (home / "source", sources)))
    for folder in paths.packages_of(video):
        if is_archived or folder != package:
            files.move(folder, archived if is_archived else package)
    if not is_archived:
        files.move(archived, package)
        for number in paths.numbers(video):
            with suppress(OSError):  # it is not there, or another version's files are still in it
                (paths.archives() / str(number)).rmdir()
    _update_caption_path(video)
    Video.objects.filter(pk=video.pk).update(misplaced=False)
    video.misplaced = False


def relocate_one(video_id: int) -> None:
    """Lock a video, and move its files to where its row says then."""
    with transaction.atomic():
        video = Video.objects.select_for_update(no_key=True).filter(pk=video_id).first()
        if video is not None:
            relocate(video)


def relocate_after_commit(video_id: int) -> None:
    """Have the files of a video that may have another media key moved by this process, right after its commit.

    An error is logged, and the sweep moves them.
    """
    transaction.on_commit(lambda: _relocate_with_versions(video_id), robust=True)


def relocate_marked() -> int:
    """Move the files of all videos whose rows are marked as misplaced; returns how many. Errors are logged."""
    moved = 0
    for video_id in list(Video.objects.filter(misplaced=True).values_list("pk", flat=True)):
        try:
            _relocate_marked(video_id)
            moved += 1
        except OSError:
            log.exception("the files of the video %d cannot be moved now; the next sweep tries again", video_id)
    return moved


def _relocate_with_versions(video_id: int) -> None:
    marked = Video.objects.filter(Q(pk=video_id) | Q(version_of=video_id), misplaced=True)
    for each in list(marked.values_list("pk", flat=True)):
        relocate_one(each)


def _relocate_marked(video_id: int) -> None:
    if Video.objects.filter(pk=video_id, misplaced=True).exists():
        relocate_one(video_id)


def locked(video_id: int) -> Video | None:
    """Lock a video and return it, with its files in their place; None where it is archived or gone."""
    video = Video.objects.not_archived().select_for_update().filter(pk=video_id).first()
    if video is not None and video.misplaced:
        relocate(video)
    return video


def package_of(video: Video) -> Path:
    """Return the folder of a video's package as `paths.package_dir` does, with its files in it."""
    if video.misplaced:
        follow(video)
    return paths.package_dir(video)


def follow(video: Video) -> bool:
    """Read again where the files of a package belong, and move what was written elsewhere meanwhile.

    The row is found by the number of the package: if another version has taken over, another row has it now. Returns
    whether the package has another folder; False for a video that was archived or is gone.
    """
    number = [paths.package_number(video)]
    row = queries.values_of_first(_row_query(), number)
    if row is None:
        return False
    pk, media_key, misplaced, *_ = row
    has_moved = media_key != video.media_key
    if has_moved or misplaced:
        relocate_one(pk)
        row = queries.values_of_first(_row_query(), number) or row
    vars(video).update(zip(FOLLOWED, row[1:], strict=True))
    return has_moved and video.deleted_at is None


@lru_cache(maxsize=1)
def _row_query() -> str:
    """Compose the query of `follow` once: each stored segment asks it twice."""
    return queries.compile_query(Video.objects.in_package(0).values_list("pk", *FOLLOWED)[:1])[0]


def store(video: Video, name: str, data: bytes) -> bool:
    """Store a file in a video's package, in the folder that the row names then.

    Returns False where it was there, and where the video was archived or is gone.
    """
    is_new = False

    def put() -> None:
        nonlocal is_new
        is_new |= files.store(paths.package_dir(video) / name, data, replace=False)

    follow(video)
    while video.deleted_at is None and not stays(video, put):
        pass
    return is_new


def stays(video: Video, work: Callable[[], None]) -> bool:
    """Do work on the files of a package; False where the package has moved meanwhile, so that it has to be repeated."""
    package = package_of(video)
    try:
        work()
    except FileNotFoundError:
        follow(video)
        if paths.package_dir(video) == package:
            raise
    follow(video)
    return paths.package_dir(video) == package


def unmoved_since(videos: Iterable[Video], *, wait: bool = True) -> set[int]:
    """Return the ids of the videos whose files have not moved since these rows were read.

    A process that moves files holds the lock of the row. wait=False leaves out videos whose rows are locked now.
    """
    keys = {video.pk: video.media_key for video in videos if not video.misplaced}
    with transaction.atomic():
        rows = Video.objects.not_archived().filter(pk__in=keys, misplaced=False)
        locked = rows.select_for_update(no_key=True, skip_locked=not wait).order_by("pk").values_list("pk", "media_key")
        return {pk for pk, media_key in locked if media_key == keys[pk]}


def purge_mark(number: int) -> Path:
    """Return the path of the file that says that a purge of the folders with this number has begun."""
    return paths.archives() / f"purged-{number}"


def _update_caption_path(video: Video) -> None:
    package = paths.archived_package(video) if video.deleted_at else paths.package_dir(video)
    for row in Transcription.objects.filter(video=video, vtt_path__isnull=False):
        name = CAPTIONS_FILE.search(row.vtt_path or "")
        row.vtt_path = str((package / name[0]).relative_to(paths.root())) if name else None
        row.save(update_fields=["vtt_path"])
