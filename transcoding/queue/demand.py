"""Segments that a viewer requests before they are made: their chunk comes first, and the request waits."""

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction

from transcoding.engine.plan.plan import Plan, chunks
from transcoding.engine.renditions import MEDIA_KEY
from transcoding.models import ChunkKind, ChunkQuerySet, ChunkStatus, Priority, TranscodingChunk, TranscodingJob
from transcoding.queue.local import first_missing
from transcoding.queue.wakeups import notify_workers
from videos.models import Video
from videos.storage.paths import find_media, package_dir
from vlog import ratelimit
from vlog.environment import WAITING

WAIT_SECONDS = 8.0
POLL_SECONDS = 0.1
SOON = 2  # segments ahead of an encoder, which are ready before another encoder would have started
MAX_SPLIT = 4  # times as many chunks as planned

# The files of a package that an encoder makes; all others exist from the start or never.
SEGMENT = re.compile(
    rf"(?P<package>\d{{1,10}})-(?P<key>[0-9a-f]{{32}})/(?P<rendition>{MEDIA_KEY})/(?:init\.mp4|(?P<index>\d{{5}})\.m4s)",
    re.ASCII,
)


class NotYet(Exception):
    """The file is not made within the time that a request may wait, or too many requests wait already."""


class WaitingRequests:
    """The requests of this process that wait. A client may have all places but one, so that none keeps out the others.

    A page's player needs two at a time: for the pictures and for the audio.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._clients = Counter[str]()
        self._lock = threading.Lock()

    @contextmanager
    def held(self, client: str) -> Iterator[None]:
        """Hold a place. Raises NotYet where the client gets none."""
        with self._lock:
            if self._clients.total() >= self.number or self._clients[client] >= self.number - 1:
                raise NotYet
            self._clients[client] += 1
        try:
            yield
        finally:
            with self._lock:
                self._clients -= Counter([client])


waiting = WaitingRequests(WAITING)  # downloads wait here, too


def wait_for(address: str, client: str) -> Path | None:
    """Return the file at an address below /media/ as soon as it is made; None where no job will make it.

    client: the address that the request came from. Raises NotYet.
    """
    match = SEGMENT.fullmatch(address)
    job = match and _unfinished_job(int(match["package"]), match["key"])
    if match is None or job is None:
        return None
    plan, rendition, segment = Plan.from_json(job.plan or {}), match["rendition"], int(match["index"] or 0)
    if not _is_planned(plan, rendition, segment):
        return None
    with waiting.held(client):
        demanded = plan.rendition(rendition)
        wanted = (job, plan, demanded.kind, segment, demanded.tier)
        if is_later(*wanted):
            if ratelimit.wait(client, f"seek:{job.pk}:{demanded.kind}", settings.SEEK_LIMIT):
                raise NotYet
            demand(*wanted)
        return _await_file(address)


def _unfinished_job(package: int, key: str) -> TranscodingJob | None:
    videos = Video.objects.not_archived().in_package(package)
    videos = videos.filter(media_key=key, status=Video.Status.PROCESSING)
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


def is_later(job: TranscodingJob, plan: Plan, kind: str, segment: int, tier: int = 0) -> bool:
    """Return whether a demand would change what is made next. It takes no locks, as most requests change nothing."""
    chunk = _around(job, kind, segment, tier).first()
    return chunk is not None and not Position.of(chunk, job, plan).is_next(segment)


def demand(job: TranscodingJob, plan: Plan, kind: str, segment: int, tier: int = 0) -> None:
    """Have a segment made next, unless it is stored or about to be.

    Its chunk is split where the segment begins, and a worker that makes another part of the video yields. Only the
    newest demand of a video counts: a viewer who has seeked elsewhere no longer waits for the earlier one.
    """
    with transaction.atomic():
        job.lock()
        same_kind = job.chunks.filter(kind=kind)
        chunk = _around(job, kind, segment, tier).select_for_update().first()
        if chunk is None or same_kind.count() >= MAX_SPLIT * (1 + len(plan.tiers) * len(chunks(plan.timeline))):
            return
        position = Position.of(chunk, job, plan)
        if position.is_next(segment):
            return
        _bring_forward(chunk, same_kind, segment, position)
    # One for the chunk, and one for the rest that a worker leaves to another.
    notify_workers(kind)
    notify_workers(kind)


def _around(job: TranscodingJob, kind: str, segment: int, tier: int) -> ChunkQuerySet:
    """Return the chunk that is to make the segment, as a queryset; none if it is made."""
    open_chunks = job.chunks.filter(kind=kind).open()
    return open_chunks.filter(tier=tier, first_segment__lte=segment, last_segment__gte=segment)


@dataclass(frozen=True)
class Position:
    """How far the work on a chunk is."""

    running: bool
    demanded: bool
    begun: int  # the first segment that is not stored
    whole: bool  # never split, because it is copied in a moment

    @classmethod
    def of(cls, chunk: TranscodingChunk, job: TranscodingJob, plan: Plan) -> "Position":
        return cls(
            running=chunk.status == ChunkStatus.RUNNING and not chunk.is_expired(),
            demanded=chunk.priority == Priority.DEMANDED,
            begun=first_missing(chunk, plan, package_dir(job.video)),
            whole=chunk.kind == ChunkKind.AUDIO
            and all(rendition.copied for rendition in plan.together(chunk.kind, chunk.tier)),
        )

    def is_next(self, segment: int) -> bool:
        """Return whether the segment is made next without being brought forward."""
        if self.running:
            return self.whole or segment <= self.begun + SOON
        return self.demanded and segment <= self.begun


def _bring_forward(chunk: TranscodingChunk, same_kind: ChunkQuerySet, segment: int, position: Position) -> None:
    """Make the segment the beginning of the next chunk."""
    same_kind.demanded().update(priority=Priority.NORMAL)
    if not position.running and (segment <= position.begun or position.whole):
        chunk.priority = Priority.DEMANDED
        chunk.save(update_fields=["priority"])
    else:
        chunk = chunk.split(segment, Priority.DEMANDED)
    if chunk.last_segment - segment < SOON:
        chunk.absorb_next()  # the viewer needs it right after, and another worker would have begun it by then
