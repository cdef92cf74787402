"""Storyboards and posters to choose from, drawn once a video is published: their rows and their queue."""

import logging
import threading
from collections.abc import Callable, Collection
from pathlib import Path

from django.db import transaction
from django.db.models import Exists, OuterRef

from transcoding.engine import pictures
from transcoding.engine.contract import Assignment, LeaseLost, ShuttingDown
from transcoding.engine.ffmpeg.processes import FfmpegError
from transcoding.engine.formats.boxes import BrokenBoxes
from transcoding.engine.formats.h264 import BrokenStream
from transcoding.engine.package.files import store
from transcoding.engine.pictures import Picture, Storyboard, sheet_name
from transcoding.engine.plan.plan import Plan
from transcoding.engine.work import Pulse
from transcoding.models import ChunkKind, Priority, TranscodingChunk, TranscodingJob, lease_end
from transcoding.queue.local import assignment_of
from transcoding.queue.post_publish import PostPublishQueue
from transcoding.steps import posters
from videos.models import Video
from videos.storage.paths import package_dir, reading, scratch

log = logging.getLogger(__name__)

AT_ONCE = 5  # videos of an earlier release that are opened together


def open_for(job: TranscodingJob) -> None:
    """Ask for the storyboard of a video that is being published. Call it in a transaction."""
    chunk, _ = TranscodingChunk.objects.get_or_create(job=job, kind=ChunkKind.STORYBOARD)
    TranscodingChunk.objects.filter(pk=chunk.pk).reset(priority=Priority.LAST)


def open_missing() -> int:
    """Videos that were published without: a few of them, the latest first, once none waits. Returns how many."""
    pieces = TranscodingChunk.objects.filter(kind=ChunkKind.STORYBOARD)
    if pieces.not_archived().open().exists():
        return 0
    ready = Video.objects.alive().filter(status=Video.Status.READY, job__plan__isnull=False)
    missing = ready.exclude(Exists(pieces.filter(job__video=OuterRef("pk")))).newest()
    return sum(_open_late(video.job) for video in missing.select_related("job")[:AT_ONCE])


def _open_late(job: TranscodingJob) -> bool:
    with transaction.atomic():
        job.lock()  # nobody archives it or encodes it again meanwhile
        is_ready = Video.objects.alive().filter(pk=job.video_id, status=Video.Status.READY).exists()
        if is_ready:
            open_for(job)
        return is_ready


class StoryboardQueue(PostPublishQueue):
    """The queue of videos whose pictures are still to be drawn."""

    def claim(self, kinds: Collection[str] = (ChunkKind.STORYBOARD,)) -> Assignment | None:
        chunk = self._claim_row(ChunkKind.STORYBOARD)
        if chunk is None:
            return None
        return assignment_of(chunk, Plan.from_json(chunk.job.plan or {}), chunk.first_segment)

    def package_of(self, assignment: Assignment) -> Path:
        video = Video.objects.filter(job__chunks=assignment.chunk).first()
        if video is None:
            raise LeaseLost  # it is gone, or made anew
        return package_dir(video)

    def report(self, assignment: Assignment, percent: int | None = None) -> None:
        """Renew the lease; the percentage is not used, because a storyboard takes seconds."""
        self._guarded(assignment, lease_expires_at=lease_end())

    def put(self, assignment: Assignment, storyboard: Storyboard, candidates: list[Picture]) -> None:
        """Put the files beside the video, with the rows that tell of them."""
        with transaction.atomic():
            video = self._finish(assignment)
            install(storyboard, package_dir(video))
            posters.offer(video, candidates)
        self._forget_package(assignment)


def install(storyboard: Storyboard, package: Path) -> None:
    """The file that names the sheets comes last: it is what the page looks for.

    Raises FileNotFoundError where the package is gone: nothing may bring it back.
    """
    if not package.is_dir():
        raise FileNotFoundError(f"{package} is not there")
    for number, sheet in enumerate(storyboard.sheets):
        store(package / sheet_name(number), sheet)
    store(package / "storyboard.vtt", storyboard.vtt.encode())
    wanted = {sheet_name(number) for number in range(len(storyboard.sheets))}
    for path in package.glob("storyboard-*.jpg"):
        if path.name not in wanted:
            path.unlink(missing_ok=True)


def draw_one(queue: StoryboardQueue, stop: threading.Event) -> bool:
    """Claim a video, draw its pictures, put them in place; False where there was none."""
    assignment = queue.claim()
    if assignment is None:
        return False
    try:
        _draw(queue, assignment, stop)
    except LeaseLost:
        log.warning("«%s»: its pictures are not wanted any more", assignment.title)
    return True


def _draw(queue: StoryboardQueue, assignment: Assignment, stop: threading.Event) -> None:
    check = Pulse(queue, assignment, stop)
    try:
        package = queue.package_of(assignment)
        with scratch() as folder:
            smallest = min(assignment.plan.first_video, key=lambda rung: rung.width * rung.height)
            storyboard = pictures.storyboard(package / smallest.key, Path(folder))
            check()
            queue.put(assignment, storyboard, _candidates(assignment, Path(folder), check))
    except ShuttingDown:
        queue.release(assignment)
    except (FfmpegError, BrokenBoxes, BrokenStream, OSError) as error:
        log.error("«%s» gets no storyboard: %s", assignment.title, error)
        queue.fail(assignment, str(error))
    else:
        log.info("«%s»: its pictures are drawn", assignment.title)


def _candidates(assignment: Assignment, folder: Path, check: Callable[[], None]) -> list[Picture]:
    try:
        with reading(assignment.source) as source:
            return pictures.candidates(assignment.plan, source.address, folder, check)
    except FfmpegError as error:
        log.warning("«%s»: no pictures to choose a poster from: %s", assignment.title, error)
        return []
