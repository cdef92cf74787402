"""The queue over the database, for workers that share the storage."""

import logging
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from transcoding.engine.codecs.h264 import SOFTWARE
from transcoding.engine.contract import INIT, Assignment, LeaseLost, ShuttingDown, Yield
from transcoding.engine.encode import EncodeError
from transcoding.engine.package.contents import segment_name, segments_there
from transcoding.engine.plan.plan import Plan
from transcoding.engine.renditions import Rendition
from transcoding.engine.speech.transcribe import Recognition, Transcript
from transcoding.models import (
    Attempt,
    AttemptQuerySet,
    ChunkKind,
    ChunkQuerySet,
    Outcome,
    Priority,
    QualityProgress,
    TranscodingChunk,
    TranscodingJob,
    claim,
    lease_end,
)
from transcoding.queue import claims, eligibility, fallbacks, incompatible
from videos.models import Video
from videos.storage import placement
from videos.storage.paths import source_path
from vlog import disk, logs
from workers.models import Worker

log = logging.getLogger(__name__)

# Between two notes of the progress of audio, of which a worker makes many segments in a second.
NOTED_EVERY = timedelta(seconds=1)
WARNING_SECONDS = 600  # between two warnings in the log about a disk that stays low


class NotSupported(Exception):
    """This kind of work has no such call; the message says so to the worker."""


class LocalQueue:
    """Claims chunks for one worker and stores the segments that it delivers.

    finished: called with the job's id after the commit that completes its last chunk; only: claim chunks of this job.
    """

    def __init__(self, worker: Worker, finished: Callable[[int], None], only: TranscodingJob | None = None) -> None:
        self.worker, self.finished = worker, finished
        self._scope = None if only is None else only.pk
        self._videos, self.plans = dict[int, Video](), dict[int, dict[str, Any]]()  # of chunks; as stored
        self._noted: dict[int, datetime] = {}  # when the progress of a chunk was last noted

    def claim(self, kinds: Collection[str]) -> Assignment | None:
        for kind in kinds:
            while (chunk := self._claim_row(kind)) is not None:
                whole = self._take_up(chunk)
                assignment = replace(whole, first=self._first_missing(chunk, whole.plan))
                if assignment.first <= assignment.last:
                    if assignment.first > chunk.first_segment:
                        _attempt_at(assignment).update(first_segment=assignment.first)
                    return assignment
                self.complete(assignment)  # its worker was killed after the last segment
        return None

    def resume(self, chunk: int, attempt: int) -> Assignment:
        """Return the whole assignment of a chunk that this worker holds; raises LeaseLost."""
        held = TranscodingChunk.objects.held_by(self.worker, chunk, attempt).select_related("job__video").first()
        if held is None:
            raise LeaseLost
        return self._take_up(held)

    def _take_up(self, chunk: TranscodingChunk) -> Assignment:
        logs.bind(job=chunk.job_id, chunk=chunk.pk)
        self._videos[chunk.pk], self.plans[chunk.pk] = chunk.job.video, chunk.job.plan or {}
        return assignment_of(chunk, Plan.from_json(self.plans[chunk.pk]), chunk.first_segment)

    def _claim_row(self, kind: str) -> TranscodingChunk | None:
        """Claim the first chunk in the order of work; none while the disk is low."""
        skipped: list[int] = []
        while not _is_disk_low():
            with transaction.atomic():
                chunk = claims.find(self.worker, kind, self._scope, tuple(skipped))
                is_left = chunk is not None and eligibility.is_left_to_others(self.worker, chunk)
                if chunk is not None and not is_left:
                    claim.take(self.worker, chunk)
            # The job is written without a lock on the chunk: others lock them in the opposite order.
            if chunk is None:
                if not self._expire_leases(kind):
                    return None
            elif is_left:
                skipped.append(chunk.pk)
            elif claim.begin(self.worker, chunk):
                return chunk
            else:
                with suppress(LeaseLost):
                    self.release(self._take_up(chunk), "the worker was disabled, drained or suspended")
                return None
        return None

    def _expire_leases(self, kind: str) -> bool:
        """Release chunks with expired leases, without waiting for the sweep; False where there were none."""
        expired = TranscodingChunk.objects.not_archived().expired().filter(claims.of(self._scope), kind=kind)
        chunks = list(expired.select_related("job"))
        for chunk in chunks:
            chunk.expire()
        return bool(chunks)

    def deliver(self, assignment: Assignment, rendition: str, index: int, data: bytes) -> None:
        is_due = self._is_due(assignment, index)
        if is_due:
            self._renew(assignment, delivered=index != INIT)
        else:
            self._guarded(assignment, lease_expires_at=lease_end(), delivered=True)
        if index == INIT:
            self._store_init(assignment, rendition, data)
        elif placement.store(self._videos[assignment.chunk], f"{rendition}/{segment_name(index)}", data):
            _attempt_at(assignment).add_seconds(_share(assignment.plan, rendition, index))
            if is_due:
                self._note_delivery(assignment, rendition, index)

    def _is_due(self, assignment: Assignment, index: int) -> bool:
        """Return whether a delivery is noted in the rows of the job; the next one counts all that are stored."""
        now, before = timezone.now(), self._noted.get(assignment.chunk)
        is_frequent = assignment.kind == ChunkKind.AUDIO and index not in (INIT, assignment.last)
        if is_frequent and before is not None and abs(now - before) < NOTED_EVERY:
            return False
        self._noted[assignment.chunk] = now
        return True

    def _package(self, assignment: Assignment) -> Path:
        return placement.package_of(self._videos[assignment.chunk])

    def _first_missing(self, chunk: TranscodingChunk, plan: Plan) -> int:
        return first_missing(chunk, plan, placement.package_of(self._videos[chunk.pk]))

    def _store_init(self, assignment: Assignment, rendition: str, data: bytes) -> None:
        """Store the init segment, or compare it: fragments of another one could not be decoded together with these.

        Raises LeaseLost where the chunk was released for that, and EncodeError where it is a failure.
        """
        name = f"{rendition}/init.mp4"
        placement.store(self._videos[assignment.chunk], name, data)
        if (self._package(assignment) / name).read_bytes() == data:
            return
        error = f"another encoder began {rendition} with other parameters, and a rendition has one throughout"
        if not incompatible.release(self._mine(assignment), error):
            raise EncodeError(error)
        log.warning("the worker %s released a chunk: %s", self.worker, error)
        self._forget_package(assignment)
        raise LeaseLost

    def _note_delivery(self, assignment: Assignment, rendition: str, index: int) -> None:
        if self._plays(assignment):
            TranscodingJob.objects.get(chunks=assignment.chunk).publish_early(assignment.plan.first_video)
        if assignment.kind == ChunkKind.VIDEO or not assignment.plan.video:
            stored = segments_there(self._package(assignment) / rendition)
            QualityProgress.objects.record(assignment.chunk, rendition, len(stored))
        if self._has_segment(assignment, assignment.renditions, index):
            self._yield_to_demand(assignment, index)

    def _plays(self, assignment: Assignment) -> bool:
        """Return whether the video has all that a player begins with; the rest is made while that plays."""
        return self._has_segment(assignment, (*assignment.plan.leading_video, *assignment.plan.audio), 0)

    def _has_segment(self, assignment: Assignment, renditions: Iterable[Rendition], index: int) -> bool:
        """Return whether each of the renditions has this segment."""
        package = self._package(assignment)
        return all((package / rendition.key / segment_name(index)).is_file() for rendition in renditions)

    def _yield_to_demand(self, assignment: Assignment, index: int) -> None:
        """Raise Yield if the chunk was split after this segment, or if a viewer waits for another chunk."""
        if index == assignment.last:
            return  # it ends by itself
        chunk = self._held(assignment)
        if index < chunk.last_segment:
            if not _is_another_demanded(chunk):
                return
            self._split(assignment, index + 1)
        raise Yield

    def _split(self, assignment: Assignment, segment: int) -> None:
        with transaction.atomic():
            self._lock_job(assignment)
            chunk = self._mine(assignment).select_for_update().first()
            if chunk is None:
                raise LeaseLost
            if segment <= chunk.last_segment:
                chunk.split(segment, Priority.NORMAL)

    def details(self, assignment: Assignment) -> dict[str, Any]:
        """Return what a worker must know of this kind of work beside the assignment, as fields of its message."""
        return {}

    def keys(self, assignment: Assignment) -> tuple[str, ...]:
        """Return the keys of the renditions of which segments may be delivered."""
        return assignment.keys

    def publish(self, assignment: Assignment, transcript: Transcript) -> None:
        """Complete a transcription; raises NotSupported, because this kind of work has no transcript."""
        raise NotSupported("This chunk is not a transcription.")

    def keep(self, assignment: Assignment, recognition: Recognition) -> None:
        """Complete a part of a transcription; raises NotSupported, because this kind of work has no speech."""
        raise NotSupported("This chunk is no part of a transcription.")

    def report(self, assignment: Assignment, percent: int | None = None) -> None:
        """Renew the lease; the percentage is not used, because the delivered segments show the progress."""
        self._renew(assignment)
        chunk = self._held(assignment)
        # A demanded chunk goes on to the end of a segment: two viewers would stop each other for ever.
        if chunk.priority != Priority.DEMANDED and _is_another_demanded(chunk):
            made = self._first_missing(chunk, assignment.plan)
            if made == chunk.first_segment:
                raise ShuttingDown
            self._split(assignment, made)
            raise Yield

    def _held(self, assignment: Assignment) -> TranscodingChunk:
        chunk = self._mine(assignment).first()
        if chunk is None:
            raise LeaseLost
        return chunk

    def _mine(self, assignment: Assignment) -> ChunkQuerySet:
        return TranscodingChunk.objects.held_by(self.worker, assignment.chunk, assignment.attempt)

    def _renew(self, assignment: Assignment, *, delivered: bool = False) -> None:
        """Renew the lease; raises LeaseLost."""
        now, expires = timezone.now(), lease_end()
        self._guarded(assignment, lease_expires_at=expires, **({"delivered": True} if delivered else {}))
        progress: dict[str, Any] = {"last_checkpoint": now} if delivered else {}
        TranscodingJob.objects.filter(chunks=assignment.chunk).update(
            worker=self.worker, claim_expires_at=expires, **progress
        )

    def warn(self, assignment: Assignment, sentence: str) -> None:
        with transaction.atomic():
            job = self._lock_job(assignment)
            self._guarded(assignment, lease_expires_at=lease_end())
            job.warn(sentence)

    def complete(self, assignment: Assignment) -> None:
        with transaction.atomic():
            # Workers that finish two chunks at the same time queue up here, so that exactly one sees the end.
            job = self._lock_job(assignment)
            if not self._mine(assignment).complete():
                raise LeaseLost
            eligibility.suspend_failing(assignment.chunk)
            if job.is_encoded():
                transaction.on_commit(lambda: self.finished(job.pk))
        self._forget_package(assignment)

    def fail(self, assignment: Assignment, error: str, *, final: bool = False) -> None:
        error = error.replace("\0", "")  # PostgreSQL takes no NUL
        with transaction.atomic():
            job = self._lock_job(assignment)
            held = self._mine(assignment).select_related("job__video")
            chunk = held.select_for_update(of=("self",)).first()
            if chunk is None:
                raise LeaseLost
            if chunk.kind == ChunkKind.VIDEO and assignment.plan.encoder != SOFTWARE:
                _attempt_at(assignment).end(Outcome.FAILED, error)
                fallbacks.encode_in_software(job, assignment.plan)
            elif copied := [each for each in assignment.plan.audio if each.copied and each in assignment.renditions]:
                _attempt_at(assignment).end(Outcome.FAILED, error)
                fallbacks.encode_sound(job, copied[0], fallbacks.DAMAGED_SOUND)
            else:
                chunk.spend_attempt(error, final=final)
        self._forget_package(assignment)

    def _lock_job(self, assignment: Assignment) -> TranscodingJob:
        jobs = TranscodingJob.objects.select_for_update(of=("self",), no_key=True)
        job = jobs.filter(chunks=assignment.chunk).first()
        if job is None:
            raise LeaseLost  # the video is gone
        return job

    def release(self, assignment: Assignment, reason: str = "") -> None:
        if not self._mine(assignment).release(Outcome.RELEASED, reason):
            raise LeaseLost
        self._forget_package(assignment)

    def _guarded(self, assignment: Assignment, **columns: Any) -> None:
        """Write to the chunk; raises LeaseLost where this worker no longer holds it."""
        if not self._mine(assignment).update(**columns):
            raise LeaseLost

    def _forget_package(self, assignment: Assignment) -> None:
        self._videos.pop(assignment.chunk, None)
        self._noted.pop(assignment.chunk, None)
        Worker.objects.filter(pk=self.worker.pk).update(current_job=None, last_heartbeat=timezone.now())


def _is_another_demanded(chunk: TranscodingChunk) -> bool:
    return TranscodingChunk.objects.filter(job=chunk.job_id, kind=chunk.kind).demanded().exists()


def _is_disk_low() -> bool:
    """Return whether the disk is too low to claim; logs that once in a while."""
    warning = disk.usage().warning
    if warning and cache.add("disk-is-low", "warned", WARNING_SECONDS):
        log.warning("%s", warning)
    return bool(warning)


def first_missing(chunk: TranscodingChunk, plan: Plan, package: Path) -> int:
    """Return the first segment that the storage lacks, or the number after the last."""
    names = [rendition.key for rendition in plan.together(chunk.kind, chunk.tier)]
    stored = set.intersection(*(segments_there(package / name) for name in names))
    segments = range(chunk.first_segment, chunk.last_segment + 1)
    return next((index for index in segments if index not in stored), chunk.last_segment + 1)


def assignment_of(chunk: TranscodingChunk, plan: Plan, first: int) -> Assignment:
    """Return the assignment of a claimed chunk, of which the segments before `first` are stored."""
    return Assignment(
        chunk=chunk.pk,
        attempt=chunk.attempt,
        kind=chunk.kind,
        title=chunk.job.video.title,
        source=str(source_path(chunk.job.video)),
        plan=plan,
        first=first,
        last=chunk.last_segment,
        tier=chunk.tier,
        urgent=chunk.priority == Priority.DEMANDED or first == 0,
    )


def _attempt_at(assignment: Assignment) -> AttemptQuerySet:
    return Attempt.objects.filter(chunk=assignment.chunk, number=assignment.attempt)


def _share(plan: Plan, rendition: str, index: int) -> float:
    """Return the seconds of video that a segment counts for; a segment of one of three renditions counts a third."""
    made = plan.rendition(rendition)
    alike = len(plan.video) if made.kind == ChunkKind.VIDEO else len(plan.audio)
    return float(plan.timeline_of(made).seconds(index) / alike)
