"""The queue of work over the database, for workers that share its storage."""

import logging
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from transcoding.engine.codecs.h264 import SOFTWARE
from transcoding.engine.contract import INIT, Assignment, LeaseLost, ShuttingDown, Yield
from transcoding.engine.encode import EncodeError
from transcoding.engine.package.contents import remove_segments, segment_name, segments_there
from transcoding.engine.package.files import store
from transcoding.engine.plan.plan import Plan
from transcoding.engine.renditions import Rendition
from transcoding.engine.speech.transcribe import Transcript
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
from transcoding.queue import claims, eligibility, incompatible
from videos.storage.paths import package_dir, source_path
from vlog import disk, logs
from workers.models import Worker

log = logging.getLogger(__name__)

TOLD_SECONDS = 600  # between two lines of one process's log about a disk that stays low


class NotSupported(Exception):
    """This kind of work has no such call; the message says so to the worker."""


class LocalQueue:
    """Claims chunks for one worker and stores what it delivers.

    finished is called with the job's id when its last chunk is complete, after the commit; `only` keeps to one job.
    """

    def __init__(self, worker: Worker, finished: Callable[[int], None], only: TranscodingJob | None = None) -> None:
        self.worker, self.finished = worker, finished
        self._scope = None if only is None else only.pk
        self._packages: dict[int, Path] = {}

    def claim(self, kinds: Collection[str]) -> Assignment | None:
        for kind in kinds:
            while (chunk := self._claim_row(kind)) is not None:
                whole = self._take_up(chunk)
                assignment = replace(whole, first=first_missing(chunk, whole.plan, self._packages[chunk.pk]))
                if assignment.first <= assignment.last:
                    if assignment.first > chunk.first_segment:
                        _attempt_at(assignment).update(first_segment=assignment.first)
                    return assignment
                self.complete(assignment)  # its worker was killed between the last segment and saying so
        return None

    def resume(self, chunk: int, attempt: int) -> Assignment:
        """All of a piece that this worker has, whichever process gave it out; raises LeaseLost."""
        held = TranscodingChunk.objects.held_by(self.worker, chunk, attempt).select_related("job__video").first()
        if held is None:
            raise LeaseLost
        return self._take_up(held)

    def _take_up(self, chunk: TranscodingChunk) -> Assignment:
        logs.bind(job=chunk.job_id, chunk=chunk.pk)
        self._packages[chunk.pk] = package_dir(chunk.job.video)
        return assignment_of(chunk, Plan.from_json(chunk.job.plan or {}), chunk.first_segment)

    def _claim_row(self, kind: str) -> TranscodingChunk | None:
        """Take the chunk that matters most; none while the disk is low."""
        left: list[int] = []
        while not _is_disk_low():
            with transaction.atomic():
                chunk = claims.find(self.worker, kind, self._scope, tuple(left))
                is_left = chunk is not None and eligibility.is_left_to_others(self.worker, chunk)
                if chunk is not None and not is_left:
                    claim.take(self.worker, chunk)
            # The job's row is written without holding the chunk's: others lock them in the opposite order.
            if chunk is None:
                if not self._lose_leases(kind):
                    return None
            elif is_left:
                left.append(chunk.pk)
            elif claim.begin(self.worker, chunk):
                return chunk
            else:
                with suppress(LeaseLost):
                    self.release(self._take_up(chunk), "the worker was kept from work")
                return None
        return None

    def _lose_leases(self, kind: str) -> bool:
        """Put back what silent workers have, without waiting for the sweep; whether there was any."""
        expired = TranscodingChunk.objects.not_archived().expired().filter(claims.of(self._scope), kind=kind)
        silent = list(expired.select_related("job"))
        for chunk in silent:
            chunk.expire()
        return bool(silent)

    def deliver(self, assignment: Assignment, rendition: str, index: int, data: bytes) -> None:
        self._renew(assignment, delivered=index != INIT)
        folder = self._packages[assignment.chunk] / rendition
        if index == INIT:
            self._store_init(assignment, folder / "init.mp4", data)
            return
        if store(folder / segment_name(index), data, replace=False):
            _attempt_at(assignment).add_seconds(_share(assignment.plan, rendition, index))
            self._note_delivery(assignment, rendition, index)

    def _store_init(self, assignment: Assignment, path: Path, data: bytes) -> None:
        """Store the init segment, or compare it: fragments of another one could not be decoded together with these.

        Raises LeaseLost where the chunk was released for that, and EncodeError where it is a failure.
        """
        if store(path, data, replace=False) or path.read_bytes() == data:
            return
        error = f"another encoder began {path.parent.name} with other parameters, and a rendition has one throughout"
        if not incompatible.release(self._mine(assignment), error):
            raise EncodeError(error)
        log.warning("the worker %s released a chunk: %s", self.worker, error)
        self._forget_package(assignment)
        raise LeaseLost

    def _note_delivery(self, assignment: Assignment, rendition: str, index: int) -> None:
        if self._plays(assignment):
            TranscodingJob.objects.get(chunks=assignment.chunk).publish_early(assignment.plan.first_video)
        if assignment.kind == ChunkKind.VIDEO:
            _count_segments(assignment.chunk, rendition, self._packages[assignment.chunk] / rendition)
        if self._are_there(assignment, assignment.renditions, index):
            self._heed_demand(assignment, index)

    def _plays(self, assignment: Assignment) -> bool:
        return self._are_there(assignment, (*assignment.plan.first_video, *assignment.plan.audio), 0)

    def _are_there(self, assignment: Assignment, renditions: Iterable[Rendition], index: int) -> bool:
        """Return whether each of the renditions has this segment."""
        package = self._packages[assignment.chunk]
        return all((package / rendition.key / segment_name(index)).is_file() for rendition in renditions)

    def _heed_demand(self, assignment: Assignment, index: int) -> None:
        """Stop after this segment where the rest was given to another piece, or another piece is waited for."""
        if index == assignment.last:
            return  # it ends by itself
        chunk = self._held(assignment)
        if index < chunk.last_segment:
            if not _is_another_waited_for(chunk):
                return
            self._leave_rest(assignment, index + 1)
        raise Yield

    def _leave_rest(self, assignment: Assignment, segment: int) -> None:
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

    def report(self, assignment: Assignment, percent: int | None = None) -> None:
        """Renew the lease; the percentage is not used, because the delivered segments show the progress."""
        self._renew(assignment)
        chunk = self._held(assignment)
        # What somebody waits for goes on to the end of a segment: two viewers would stop one another for ever.
        if chunk.priority != Priority.DEMANDED and _is_another_waited_for(chunk):
            made = first_missing(chunk, assignment.plan, self._packages[chunk.pk])
            if made == chunk.first_segment:
                raise ShuttingDown
            self._leave_rest(assignment, made)
            raise Yield

    def _held(self, assignment: Assignment) -> TranscodingChunk:
        chunk = self._mine(assignment).first()
        if chunk is None:
            raise LeaseLost
        return chunk

    def _mine(self, assignment: Assignment) -> ChunkQuerySet:
        return TranscodingChunk.objects.held_by(self.worker, assignment.chunk, assignment.attempt)

    def _renew(self, assignment: Assignment, *, delivered: bool = False) -> None:
        """Prolong the lease, or find out that it is gone."""
        now, expires = timezone.now(), lease_end()
        self._guarded(assignment, lease_expires_at=expires, **({"delivered": True} if delivered else {}))
        moved: dict[str, Any] = {"last_checkpoint": now} if delivered else {}
        TranscodingJob.objects.filter(chunks=assignment.chunk).update(
            worker=self.worker, claim_expires_at=expires, **moved
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
                self._fall_back(job, assignment.plan)
            else:
                chunk.spend_attempt(error, final=final)
        self._forget_package(assignment)

    def _fall_back(self, job: TranscodingJob, plan: Plan) -> None:
        """Have all pictures encoded again in software, because a rung has one encoder; that spends no attempt."""
        for rung in plan.video:
            if not rung.copied:  # before the rows change: killed in between, the next failure leads here again
                remove_segments(package_dir(job.video) / rung.key)
        job.restart_encoding(SOFTWARE, f"{plan.encoder} failed on this video, so all of it was encoded by {SOFTWARE}.")

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
        """Write to the chunk as long as it is ours."""
        if not self._mine(assignment).update(**columns):
            raise LeaseLost

    def _forget_package(self, assignment: Assignment) -> None:
        self._packages.pop(assignment.chunk, None)
        Worker.objects.filter(pk=self.worker.pk).update(current_job=None, last_heartbeat=timezone.now())


def _is_another_waited_for(chunk: TranscodingChunk) -> bool:
    return TranscodingChunk.objects.filter(job=chunk.job_id, kind=chunk.kind).demanded().exists()


def _is_disk_low() -> bool:
    """Whether nothing may be claimed for want of room; says so in the log, once in a while."""
    warning = disk.usage().warning
    if warning and cache.add("disk-is-low", "told", TOLD_SECONDS):
        log.warning("%s", warning)
    return bool(warning)


def first_missing(chunk: TranscodingChunk, plan: Plan, package: Path) -> int:
    """Where to begin or go on; beyond the last where all is there. The storage tells, not a counter."""
    names = [rendition.key for rendition in plan.together(chunk.kind, chunk.tier)]
    there = set.intersection(*(segments_there(package / name) for name in names))
    wanted = range(chunk.first_segment, chunk.last_segment + 1)
    return next((index for index in wanted if index not in there), chunk.last_segment + 1)


def assignment_of(chunk: TranscodingChunk, plan: Plan, first: int) -> Assignment:
    """What a worker is told of a claimed chunk, of which the segments before `first` are there."""
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
    """The seconds of the video that a segment stands for; all renditions of a kind together make the whole."""
    made = plan.rendition(rendition)
    alike = len(plan.video) if made.kind == ChunkKind.VIDEO else len(plan.audio)
    return float(plan.timeline_of(made).seconds(index) / alike)


def _count_segments(chunk: int, rendition: str, folder: Path) -> None:
    """Update the progress of the rung and the job from the stored segments."""
    qualities = QualityProgress.objects.filter(job__chunks=chunk)
    qualities.filter(quality=rendition).record_segments(len(segments_there(folder)))
    sums = qualities.planned().aggregate(done=Sum("segments_completed"), all=Sum("segments_total"))
    TranscodingJob.objects.filter(chunks=chunk).update(progress_percent=100 * sums["done"] // sums["all"])
