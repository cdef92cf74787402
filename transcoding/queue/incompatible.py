"""Renditions that another encoder began with other parameters: fragments of two encoders cannot be decoded together.

A worker whose init segment differs from the rendition's releases the chunk, and claims none of that tier again. Where
no available worker can continue, the tier is begun anew, once. That takes two transactions, so that it may be
interrupted on any line: the first marks the chunks, which no worker claims from then on; the second removes the
segments and resets the chunks. The sweep runs the second one again until it has succeeded.
"""

import logging

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from transcoding.engine.contract import LeaseLost
from transcoding.engine.package.contents import remove_segments
from transcoding.engine.plan.plan import Plan
from transcoding.models import UNFINISHED, Attempt, ChunkQuerySet, Outcome, TranscodingChunk, TranscodingJob
from transcoding.queue import eligibility
from transcoding.queue.wakeups import notify_workers
from videos.storage import placement
from videos.storage.paths import package_dir

log = logging.getLogger(__name__)


def release(held: ChunkQuerySet, error: str) -> bool:
    """Release a held chunk without spending an attempt, because its worker cannot continue the rendition.

    False where that is a failure: no other worker can, and the tier was begun anew before. Raises LeaseLost.
    """
    with transaction.atomic():
        chunk = _locked(held)
        others = eligibility.compatible(chunk).exclude(worker_id=chunk.worker_id)
        if chunk.restarted_at is not None and not others.exists():
            return False
        held.release(Outcome.INCOMPATIBLE, error)
        marked = _mark(chunk)
    if marked:
        begin_anew(chunk)
    else:
        notify_workers(chunk.kind)
    return True


def _locked(held: ChunkQuerySet) -> TranscodingChunk:
    """Lock the job of a held chunk, and return the chunk as it is then."""
    for chunk in held.select_related("job"):
        chunk.job.lock()
    for chunk in held.select_related("job"):
        return chunk
    raise LeaseLost


def sweep() -> None:
    """Begin tiers anew that no available worker can continue, and finish what was interrupted."""
    chunks = TranscodingChunk.objects.not_archived().encoding().open().select_related("job__video")
    refused = Attempt.objects.incompatible().filter(job=OuterRef("job"), kind=OuterRef("kind"), tier=OuterRef("tier"))
    for chunk in chunks.filter(Exists(refused), restarted_at=None, restarting=False).order_by("pk"):
        with transaction.atomic():
            chunk.job.lock()
            _mark(chunk)
    for chunk in chunks.filter(restarting=True).order_by("pk"):
        begin_anew(chunk)


def _mark(chunk: TranscodingChunk) -> bool:
    """Mark a tier to be begun anew if there are able workers, and none of them can continue it. With the job locked."""
    tier = TranscodingChunk.objects.in_tier_of(chunk)
    if chunk.restarted_at is not None or tier.running().filter(lease_expires_at__gte=timezone.now()).exists():
        return False  # a drained worker may finish the chunk that it has
    if not eligibility.able(chunk).exists() or eligibility.compatible(chunk).exists():
        return False
    return bool(tier.update(restarting=True))


def begin_anew(chunk: TranscodingChunk) -> None:
    """Remove the encoded segments of a marked tier, and have all of it made again."""
    with transaction.atomic():
        chunk.job.lock()
        jobs = TranscodingJob.objects.filter(video__deleted_at=None, video__status__in=UNFINISHED)
        job = jobs.select_related("video").filter(pk=chunk.job_id).first()
        if job is None or not TranscodingChunk.objects.in_tier_of(chunk).filter(restarting=True).exists():
            return
        video = placement.locked(job.video_id) or job.video
        names = _encoded(Plan.from_json(job.plan or {}), chunk)
        for name in names:  # before the rows change, for the mark leads here again
            remove_segments(package_dir(video) / name)
        what = f"No worker could continue {', '.join(names)} as another encoder had begun, so all of it was begun anew."
        job.restart_tier(chunk.kind, chunk.tier, names, what)
    log.warning("«%s»: %s", job.video, what)
    notify_workers(chunk.kind)


def _encoded(plan: Plan, chunk: TranscodingChunk) -> list[str]:
    """Return the keys of the renditions of a chunk that an encoder makes; the others are copied from the source."""
    return [rendition.key for rendition in plan.together(chunk.kind, chunk.tier) if not rendition.copied]
