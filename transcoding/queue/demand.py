"""Segments that a viewer requests before they are made: their chunk comes first, and the request waits."""

import re
import threading
import time
from pathlib import Path

from django.db import transaction

from transcoding.engine.plan.plan import Plan, chunks
from transcoding.engine.renditions import MEDIA_KEY
from transcoding.models import ChunkKind, ChunkQuerySet, ChunkStatus, Priority, TranscodingChunk, TranscodingJob
from transcoding.queue.local import first_missing
from transcoding.queue.wakeups import notify_workers
from videos.models import Video
from videos.storage.paths import find_media, package_dir
from vlog.environment import WAITING

WAIT_SECONDS = 8.0
POLL_SECONDS = 0.1
SOON = 2  # segments ahead of an encoder, which are ready before another encoder would have started
MAX_SPLIT = 4  # times as many chunks as planned

# The files of a package that an encoder makes; all others exist from the start or never.
SEGMENT = re.compile(
    rf"(?P<video>\d{{1,10}})-(?P<key>[0-9a-f]{{32}})/(?P<rendition>{MEDIA_KEY})/(?:init\.mp4|(?P<index>\d{{5}})\.m4s)",
    re.ASCII,
)

_waiting = threading.BoundedSemaphore(WAITING)


class NotYet(Exception):
    """The file is not made within the time that a request may wait, or too many requests wait already."""


def wait_for(address: str) -> Path | None:
    """Return the file at an address below /media/ as soon as it is made; None where no job will make it.

    Raises NotYet.
    """
    match = SEGMENT.fullmatch(address)
    job = match and _unfinished_job(int(match["video"]), match["key"])
    if match is None or job is None:
        return None
    plan, rendition, segment = Plan.from_json(job.plan or {}), match["rendition"], int(match["index"] or 0)
    if not _is_planned(plan, rendition, segment):
        return None
    if not _waiting.acquire(blocking=False):
        raise NotYet
    try:
        demanded = plan.rendition(rendition)
        demand(job, plan, demanded.kind, segment, demanded.tier)
        return _await_file(address)
    finally:
        _waiting.release()


def _unfinished_job(video: int, key: str) -> TranscodingJob | None:
    videos = Video.objects.alive().filter(pk=video, media_key=key, status=Video.Status.PROCESSING)
    return TranscodingJob.objects.filter(video__in=videos, plan__isnull=False).select_related("video").first()


def _is_planned(plan: Plan, rendition: str, segment: int) -> bool:
    return any(each.key == rendition and segment < len(plan.timeline_of(each)) for each in plan.renditions)


def _await_file(address: str) -> Path:
    deadline = time.monotonic() + WAIT_SECONDS
    while (path := find_media(address)) is None:
        if time.monotonic() > deadline:
            raise NotYet
        time.sleep(POLL_SECONDS)
    return path


def demand(job: TranscodingJob, plan: Plan, kind: str, segment: int, tier: int = 0) -> None:
    """Have a segment made next, unless it is stored or about to be.

    Its chunk is split where the segment begins, and a worker that makes another part of the video yields. Only the
    newest demand of a video counts: a viewer who has seeked elsewhere no longer waits for the earlier one.
    """
    with transaction.atomic():
        job.lock()
        same_kind = job.chunks.filter(kind=kind)
        around = same_kind.open().filter(tier=tier, first_segment__lte=segment, last_segment__gte=segment)
        chunk = around.select_for_update().first()
        if chunk is None or same_kind.count() >= MAX_SPLIT * (1 + len(plan.tiers) * len(chunks(plan.timeline))):
            return
        whole = kind == ChunkKind.AUDIO and all(rendition.copied for rendition in plan.together(kind, tier))
        begun = first_missing(chunk, plan, package_dir(job.video))
        if not _bring_forward(chunk, same_kind, segment, begun, whole=whole):
            return
    # One for the chunk, and one for the rest that a worker leaves to another.
    notify_workers(kind)
    notify_workers(kind)


def _bring_forward(chunk: TranscodingChunk, same_kind: ChunkQuerySet, segment: int, begun: int, *, whole: bool) -> bool:
    """Make the segment the beginning of the next chunk; False where that is not needed.

    whole: do not split the chunk, because it is copied in a moment.
    """
    running = chunk.status == ChunkStatus.RUNNING and not chunk.is_expired()
    if running and (whole or segment <= begun + SOON):
        return False
    if not running and segment <= begun and chunk.priority == Priority.DEMANDED:
        return False
    same_kind.demanded().update(priority=Priority.NORMAL)
    if not running and (segment <= begun or whole):
        chunk.priority = Priority.DEMANDED
        chunk.save(update_fields=["priority"])
    else:
        chunk = chunk.split(segment, Priority.DEMANDED)
    if chunk.last_segment - segment < SOON:
        chunk.absorb_next()  # the viewer needs it right after, and another worker would have begun it by then
    return True
