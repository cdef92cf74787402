"""Storyboards, and posters to choose from, which are made after the publication: their rows and their queue."""

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
from transcoding.queue.post_publish import PostPublishQueue
from transcoding.steps import posters
from videos.models import Video
from videos.storage import placement
from videos.storage.paths import package_dir, reading, scratch

log = logging.getLogger(__name__)

AT_ONCE = 5  # videos of an earlier release


def open_for(job: TranscodingJob) -> bool:
    """Ask for the storyboard of a video that is being published; False where it has no pictures.

    Call it in a transaction.
    """
    if not Plan.from_json(job.plan or {}).video:
        return False
    chunk, _ = TranscodingChunk.objects.get_or_create(job=job, kind=ChunkKind.STORYBOARD)
    TranscodingChunk.objects.filter(pk=chunk.pk).reset(priority=Priority.LAST)
    return True


def backfill() -> int:
    """Ask for storyboards of published videos without one, the newest first; returns how many.

    Some at a time, and none while one is pending or running.
    """
    chunks = TranscodingChunk.objects.filter(kind=ChunkKind.STORYBOARD)
    if chunks.not_archived().open().exists():
        return 0
    ready = Video.objects.not_archived().listed().filter(status=Video.Status.READY, job__plan__isnull=False)
    ready = ready.exclude(source_width=0)  # sound alone
    missing = ready.exclude(Exists(chunks.filter(job__video=OuterRef("pk")))).newest()
    return sum(_open_late(video.job) for video in missing.select_related("job")[:AT_ONCE])


def _open_late(job: TranscodingJob) -> bool:
    with transaction.atomic():
        job.lock()  # so that it is not archived or re-encoded meanwhile
        is_ready = Video.objects.not_archived().filter(pk=job.video_id, status=Video.Status.READY).exists()
        if is_ready:
            open_for(job)
        return is_ready


class StoryboardQueue(PostPublishQueue):
    """The queue of storyboards."""

    def claim(self, kinds: Collection[str] = (ChunkKind.STORYBOARD,)) -> Assignment | None:
        chunk = self._claim_row(ChunkKind.STORYBOARD)
        if chunk is None:
            return None
        return self._take_up(chunk)

    def package_of(self, assignment: Assignment) -> Path:
        video = Video.objects.filter(job__chunks=assignment.chunk).first()
        if video is None:
            raise LeaseLost  # it was deleted or is re-encoded
        return placement.package_of(video)

    def report(self, assignment: Assignment, percent: int | None = None) -> None:
        """Renew the lease; the percentage is not used, because a storyboard takes seconds."""
        self._guarded(assignment, lease_expires_at=lease_end())

    def put(self, assignment: Assignment, storyboard: Storyboard, candidates: list[Picture]) -> None:
        """Store the pictures in the package, and complete the chunk."""
        with transaction.atomic():
            video = self._finish(assignment)
            install(storyboard, package_dir(video))
            posters.offer(video, candidates)
        self._forget_package(assignment)


def install(storyboard: Storyboard, package: Path) -> None:
    """Store a storyboard; the file that names the sheets comes last, because the page looks for it.

    Raises FileNotFoundError where the package is gone, because it must not be created again.
    """
    if not package.is_dir():
        raise FileNotFoundError(f"{package} does not exist")
    for number, sheet in enumerate(storyboard.sheets):
        store(package / sheet_name(number), sheet)
    store(package / "storyboard.vtt", storyboard.vtt.encode())
    names = {sheet_name(number) for number in range(len(storyboard.sheets))}
    for path in package.glob("storyboard-*.jpg"):
        if path.name not in names:
            path.unlink(missing_ok=True)


def generate_one(queue: StoryboardQueue, stop: threading.Event) -> bool:
    """Claim a chunk and make its storyboard; False where none is pending."""
    assignment = queue.claim()
    if assignment is None:
        return False
    try:
        _generate(queue, assignment, stop)
    except LeaseLost:
        log.warning("«%s»: the storyboard is no longer needed", assignment.title)
    return True


def _generate(queue: StoryboardQueue, assignment: Assignment, stop: threading.Event) -> None:
    check = Pulse(queue, assignment, stop)
    package = queue.package_of(assignment)
    try:
        with scratch() as folder:
            smallest = min(assignment.plan.first_video, key=lambda rung: rung.width * rung.height)
            storyboard = pictures.storyboard(package / smallest.key, Path(folder))
            check()
            queue.put(assignment, storyboard, _candidates(assignment, Path(folder), check))
    except ShuttingDown:
        queue.release(assignment)
    except (FfmpegError, BrokenBoxes, BrokenStream, OSError) as error:
        if queue.package_of(assignment) != package:
            queue.release(assignment, "the package has moved")
            return
        log.error("«%s» gets no storyboard: %s", assignment.title, error)
        queue.fail(assignment, str(error))
    else:
        log.info("«%s»: the storyboard is complete", assignment.title)


def _candidates(assignment: Assignment, folder: Path, check: Callable[[], None]) -> list[Picture]:
    try:
        with reading(assignment.source) as source:
            return pictures.candidates(assignment.plan, source.address, folder, check)
    except FfmpegError as error:
        log.warning("«%s»: no pictures to choose a poster from: %s", assignment.title, error)
        return []
