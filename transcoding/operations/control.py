"""What operators and editors do with the making of a video: cancel, try again, encode again, redo one quality.

Each returns the sentence to show, or raises Refused with one.
"""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.template.defaultfilters import pluralize
from django.utils import timezone

from transcoding import tasks
from transcoding.engine.package import files
from transcoding.engine.work import REPORT_SECONDS
from transcoding.models import LEASE_EXPIRED, UNFINISHED, Outcome, QualityStatus, TranscodingJob
from transcoding.operations.insight import MISSED_REPORTS
from videos.models import Video
from videos.storage.paths import package_dir


class Refused(Exception):
    """It is not possible now; the message says why, and what to do instead."""


def cancel(job: TranscodingJob, by: str) -> str:
    """End the making of a video; whoever encodes a piece of it loses the lease with the next report."""
    video = _alive(job)
    if not job.cancel(by):
        state = Video.objects.filter(pk=video.pk).values_list("status", flat=True).first()
        if state == Video.Status.READY:
            raise Refused(f"«{video}» is ready, so there is nothing to cancel. To withdraw it, archive it.")
        raise Refused(f"«{video}» has failed or was cancelled before. To take it up again, retry it.")
    return f"«{video}» is cancelled. What was made is kept: retry takes it up again."


def retry(job: TranscodingJob) -> str:
    """Take a video up again from any state in which something is left to do; nothing that was made well is lost."""
    video = _alive(job)
    if video.status == Video.Status.READY:
        raise Refused(
            f"«{video}» is ready. To have all of it encoded again from scratch, choose “encode again” (--again)."
        )
    if video.status == Video.Status.FAILED:
        tasks.retry(job)
        return f"«{video}» is taken up again; what was made well is kept."
    released = _release_unreported(job)
    transaction.on_commit(lambda: tasks.send_again(job))
    chunks = f" {released} chunk{pluralize(released)} of workers that stopped reporting will be claimed again."
    return f"«{video}» is not finished: the remaining work was sent again.{chunks if released else ''}"


def encode_again(job: TranscodingJob) -> str:
    """Make a video that is ready, or has failed, from scratch, under a new address; until then it is not public.

    The words that were heard of it stay.
    """
    with transaction.atomic():
        job.lock()
        video = _alive(job)
        if video.status in UNFINISHED:
            raise Refused(f"«{video}» is being made. Cancel it first, then it can be encoded again.")
        if job.chunks.transcriptions().open().exists():
            raise Refused(f"«{video}» is being heard. Wait for its captions or cancel them first.")
        job.restart()
        transaction.on_commit(lambda: tasks.start(job))
    return f"«{video}» is encoded again from scratch. Viewers cannot watch it until it is ready."


def redo(job: TranscodingJob, quality: str) -> str:
    """Make one quality of an unfinished or failed video anew; the segments of the others stay."""
    with transaction.atomic():
        job.lock()
        video = _alive(job)
        _check_redo(job, video, quality)
        job.reopen()
        job.restart_quality(quality)
        # Before the commit: afterwards a worker may have begun to fill it again.
        files.remove(package_dir(video) / quality)
        transaction.on_commit(lambda: tasks.start(job))
    return f"{quality} of «{video}» is made anew."


def _check_redo(job: TranscodingJob, video: Video, quality: str) -> None:
    if video.status == Video.Status.READY:
        raise Refused(f"«{video}» is ready: one quality of it cannot be made alone. Encode all of it again (--again).")
    rows = dict(job.qualities.values_list("quality", "status"))
    if not rows:
        raise Refused(f"«{video}» has not been analysed yet, so it has no qualities.")
    made = [name for name, status in rows.items() if status != QualityStatus.SKIPPED]
    if quality not in made:
        why = "is above its source" if quality in rows else "is none of its qualities"
        raise Refused(f"{quality} {why}: choose one of {', '.join(made)}.")


def _alive(job: TranscodingJob) -> Video:
    """Its video as it is now; in the archive nothing is made of one."""
    video = Video.objects.filter(pk=job.video_id).first()
    if video is None:
        raise Refused("The video is gone.")
    if video.deleted_at is not None:
        raise Refused(
            f"«{video}» is in the archive. Restore it first (manage.py restore_video); then it goes on by itself."
        )
    return video


def _release_unreported(job: TranscodingJob) -> int:
    """Release the chunks of workers that have missed their reports; returns their number."""
    limit = timezone.now() + timedelta(seconds=settings.LEASE_SECONDS - MISSED_REPORTS * REPORT_SECONDS)
    with transaction.atomic():
        job.lock()
        late = job.chunks.encoding().running().filter(lease_expires_at__lt=limit)
        number = late.release(Outcome.LOST, LEASE_EXPIRED)
        job.checkpoint()
    return number
