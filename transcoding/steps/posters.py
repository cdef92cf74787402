"""The poster of a video: the best of some candidates, or the one that an editor chose.

The editor's choice is stored beside the source, so it outlives every package. `videos.poster_version` counts the
changes: it is part of the poster's address, which browsers cache for ever.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from django.db import transaction
from django.db.models import F

from transcoding.engine import pictures
from transcoding.engine.ffmpeg.processes import FfmpegError
from transcoding.engine.formats.boxes import BrokenBoxes
from transcoding.engine.package.files import store
from transcoding.engine.pictures import CANDIDATES, Picture
from transcoding.engine.plan.plan import Plan
from videos.models import Video, VideoQuality
from videos.storage import placement
from videos.storage.paths import chosen_poster_path, package_dir, reading, scratch, source_path

log = logging.getLogger(__name__)


def candidate_name(number: int) -> str:
    return f"poster-{number}.jpg"


def make_first(video: Video, plan: Plan) -> tuple[str, ...]:
    """Make the poster of a video in the making, unless it has one; return warnings. Raises FfmpegError."""
    warnings: tuple[str, ...] = ()
    target = package_dir(video) / "poster.jpg"
    if not target.exists() and not chosen_poster_path(video).exists():
        with scratch() as folder, reading(str(source_path(video))) as source:
            jpeg, warnings = _poster(plan, source.address, Path(folder))
            store(target, jpeg)
    with transaction.atomic():
        locked = placement.locked(video.pk)
        if locked is not None and chosen_poster_path(locked).exists():
            package_dir(locked).mkdir(parents=True, exist_ok=True)
            show_chosen(locked)
    return warnings


def _poster(plan: Plan, source: str, folder: Path) -> tuple[bytes, tuple[str, ...]]:
    if plan.video:
        return pictures.poster(plan, source, folder).jpeg, ()
    return pictures.of_sound(plan, source, folder)


def offer(video: Video, found: Sequence[Picture]) -> None:
    """Store the candidates, and show the best unless an editor has chosen. Call it with the video locked."""
    package = package_dir(video)
    for number in range(CANDIDATES):
        path = package / candidate_name(number)
        if number < len(found):
            store(path, found[number].jpeg)
        else:
            path.unlink(missing_ok=True)
    if found and not chosen_poster_path(video).exists():
        _show(video, pictures.best(found).jpeg)


def offered(video: Video) -> list[tuple[int, bool]]:
    """Return the numbers of the candidates, and whether each is the present poster."""
    package = package_dir(video)
    paths = {number: package / candidate_name(number) for number in range(CANDIDATES)}
    return [(number, _same(path, package / "poster.jpg")) for number, path in paths.items() if path.is_file()]


def choose(video_id: int, number: int) -> bool:
    """Make a candidate the poster, whatever comes later. False where there is no such candidate or video."""
    with transaction.atomic():
        video = placement.locked(video_id)
        if video is None:
            return False
        path = package_dir(video) / candidate_name(number)
        if is_there := path.is_file():
            _choose(video, path.read_bytes())
        return is_there


def take(video_id: int, at: float) -> bool:
    """Make the frame at a second of the video the poster, whatever comes later. False where there is none."""
    video = Video.objects.not_archived().filter(pk=video_id).first()
    keys = list(
        VideoQuality.objects.filter(video=video_id).order_by("-height", "quality").values_list("quality", flat=True)
    )
    try:
        with scratch() as folder:
            jpeg = pictures.frame(package_dir(video) / keys[0], at, Path(folder)) if video and keys else b""
    except (FileNotFoundError, BrokenBoxes, FfmpegError):
        log.warning("No frame of video %s can be taken at %s s.", video_id, at, exc_info=True)
        return False
    with transaction.atomic():
        locked = placement.locked(video_id)
        if locked is not None and jpeg:
            _choose(locked, jpeg)
        return locked is not None and bool(jpeg)


def send(video_id: int, file: Path) -> bool:
    """Make an uploaded picture the poster, whatever comes later. False where the video is archived or gone.

    Raises NotAPicture.
    """
    jpeg = pictures.from_upload(file, file.parent)
    with transaction.atomic():
        video = placement.locked(video_id)
        if video is not None:
            _choose(video, jpeg)
        return video is not None


def show_chosen(video: Video) -> None:
    """Put the picture that an editor chose into the package, where there is one. Call it with the video locked."""
    if chosen_poster_path(video).is_file():
        _show(video, chosen_poster_path(video).read_bytes())


def _choose(video: Video, jpeg: bytes) -> None:
    store(chosen_poster_path(video), jpeg)
    _show(video, jpeg)


def _show(video: Video, jpeg: bytes) -> None:
    """Store the file before the version: an address may show a newer poster than it names, and never an older one."""
    target = package_dir(video) / "poster.jpg"
    if target.parent.is_dir() and not (target.is_file() and target.read_bytes() == jpeg):
        store(target, jpeg)
        Video.objects.filter(pk=video.pk).update(poster_version=F("poster_version") + 1)


def _same(one: Path, other: Path) -> bool:
    same_size = other.is_file() and one.stat().st_size == other.stat().st_size
    return same_size and one.read_bytes() == other.read_bytes()
