"""Somebody waits for a segment that is not made yet: its work comes first, and the request waits for the file."""

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
LOOK_SECONDS = 0.1
SOON = 2  # segments: what lies no further ahead of an encoder comes sooner than a new one would begin
PIECES = 4  # times as many as were planned: more cuts than that are not made of one video

# Part of a package that an encoder makes; the rest is there from the start or never.
SEGMENT = re.compile(
    rf"(?P<video>\d{{1,10}})-(?P<key>[0-9a-f]{{32}})/(?P<rendition>{MEDIA_KEY})/(?:init\.mp4|(?P<index>\d{{5}})\.m4s)",
    re.ASCII,
)

_places = threading.BoundedSemaphore(WAITING)


class NotYet(Exception):
    """It will be there, but not within the time that a request may wait, or too many wait already."""


def wait_for(address: str) -> Path | None:
    """The file at an address below /media/, as soon as it is made; None where it is not about to be.

    Raises NotYet.
    """
    match = SEGMENT.fullmatch(address)
    job = match and _unfinished_job(int(match["video"]), match["key"])
    if match is None or job is None:
        return None
    plan, rendition, segment = Plan.from_json(job.plan or {}), match["rendition"], int(match["index"] or 0)
    if not _is_planned(plan, rendition, segment):
        return None
    if not _places.acquire(blocking=False):
        raise NotYet
    try:
        demanded = plan.rendition(rendition)
        demand(job, plan, demanded.kind, segment, demanded.tier)
        return _await_file(address)
    finally:
        _places.release()


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
        time.sleep(LOOK_SECONDS)
    return path


def demand(job: TranscodingJob, plan: Plan, kind: str, segment: int, tier: int = 0) -> None:
    """Have a segment made next, unless it is there or on its way.

    Its piece is cut where the segment begins, and a worker that makes another part of the video stops. Only the newest
    demand of a video counts: a viewer who has moved on waits for nothing else.
    """
    with transaction.atomic():
        job.lock()
        pieces = job.chunks.filter(kind=kind)
        around = pieces.open().filter(tier=tier, first_segment__lte=segment, last_segment__gte=segment)
        chunk = around.select_for_update().first()
        if chunk is None or pieces.count() >= PIECES * (1 + len(plan.tiers) * len(chunks(plan.timeline))):
            return
        whole = kind == ChunkKind.AUDIO and all(rendition.copied for rendition in plan.together(kind, tier))
        begun = first_missing(chunk, plan, package_dir(job.video))
        if not _bring_forward(chunk, pieces, segment, begun, whole=whole):
            return
    # One for the piece, and one for what a worker leaves for its sake.
    notify_workers(kind)
    notify_workers(kind)


def _bring_forward(chunk: TranscodingChunk, pieces: ChunkQuerySet, segment: int, begun: int, *, whole: bool) -> bool:
    """Make the segment the beginning of a piece that comes next; False where it comes without that.

    whole: the piece is not to be cut, since it is copied in a moment.
    """
    taken = chunk.status == ChunkStatus.RUNNING and not chunk.is_expired()
    if taken and (whole or segment <= begun + SOON):
        return False
    if not taken and segment <= begun and chunk.priority == Priority.DEMANDED:
        return False
    pieces.demanded().update(priority=Priority.NORMAL)
    if not taken and (segment <= begun or whole):
        chunk.priority = Priority.DEMANDED
        chunk.save(update_fields=["priority"])
    else:
        chunk = chunk.split(segment, Priority.DEMANDED)
    if chunk.last_segment - segment < SOON:
        chunk.absorb_next()  # the viewer will want that as soon, and another piece would be begun before they ask
    return True
