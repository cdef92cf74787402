"""What operators and editors do with jobs: cancel, retry, move to the front, re-encode, redo one quality.

Each function returns the message to show, or raises Refused with one.
"""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from transcoding import tasks
from transcoding.engine.package import files
from transcoding.engine.work import REPORT_SECONDS
from transcoding.models import LEASE_EXPIRED, UNFINISHED, Outcome, QualityStatus, TranscodingJob
from transcoding.operations.insight import MISSED_REPORTS
from transcoding.steps import file_versions
from transcoding.steps.file_versions import VersionError
from videos.models import Video
from videos.storage import placement
from videos.storage.paths import package_dir
from vlog import audit
from vlog.sentences import counted


class Refused(Exception):
    """The action is not possible now; the message says why, and what to do instead."""


def cancel(job: TranscodingJob, by: str) -> str:
    """Cancel a job; its workers lose their leases with the next report."""
    video = _alive(job)
    with transaction.atomic():
        if is_cancelled := job.cancel(by):
            audit.record("cancelled the job of", subject=video)
    if not is_cancelled:
        state = Video.objects.filter(pk=video.pk).values_list("status", flat=True).first()
        if state == Video.Status.READY:
            raise Refused(
                _("«%(video)s» is ready, so there is nothing to cancel. To withdraw it, archive it.") % {"video": video}
            )
        raise Refused(_("«%(video)s» has failed or was cancelled before. To continue it, retry it.") % {"video": video})
    return _("«%(video)s» is cancelled. What was made is kept: retry continues it.") % {"video": video}


def make_next(job: TranscodingJob) -> str:
    """Move an unfinished job to the front of the queue, where it stays."""
    video = _alive(job)
    with transaction.atomic():
        if is_moved := job.make_next():
            audit.record("brought forward the job of", subject=video)
    if not is_moved:
        raise Refused(
            _("«%(video)s» is not waiting: it is ready, or it has failed or was cancelled.") % {"video": video}
        )
    return _("«%(video)s» is next: its chunks come before those of all other videos.") % {"video": video}


def retry(job: TranscodingJob) -> str:
    """Continue a job from any state in which work remains; finished segments are kept."""
    video = _alive(job)
    if video.status == Video.Status.READY:
        raise Refused(
            _("«%(video)s» is ready. To make it again from its source, re-encode it (manage.py jobs encode).")
            % {"video": video}
        )
    if video.status == Video.Status.FAILED:
        tasks.retry(job)
        return _("«%(video)s» is retried; finished segments are kept.") % {"video": video}
    released = _release_unreported(job)
    transaction.on_commit(lambda: tasks.send_again(job))
    chunks = f" {counted(released, 'chunk')} of workers that stopped reporting will be claimed again."
    return f"«{video}» is not finished: the remaining work was sent again.{chunks if released else ''}"


def re_encode(job: TranscodingJob) -> str:
    """Make a ready or failed video again from its source. What viewers watch stays until the new package is ready.

    Its captions are kept.
    """
    owner = _alive(job).version_of_id or job.video_id
    with transaction.atomic():
        video = _locked(owner)
        present = TranscodingJob.objects.get(video=video)
        if video.status in UNFINISHED:
            raise Refused(
                _("«%(video)s» is being made. Cancel the job first, then re-encode the video.") % {"video": video}
            )
        if TranscodingJob.objects.arriving().filter(pk=present.pk).exists():
            raise Refused(
                _("The original of «%(video)s» is not in the object store yet. Retry the job instead.")
                % {"video": video}
            )
        if video.status == Video.Status.READY:
            new = _make_beside(video)
            message = _(
                "«%(video)s» is being re-encoded. Viewers watch the present version until the new one is ready."
            ) % {"video": video}
        else:
            new = present
            new.restart()
            audit.record("re-encoded", subject=video)
            message = _("«%(video)s» is being re-encoded. Viewers cannot watch it until it is ready.") % {
                "video": video
            }
        transaction.on_commit(lambda: tasks.start(new))
    return message


def _locked(video_id: int) -> Video:
    try:
        return file_versions.locked(video_id)
    except VersionError as error:
        raise Refused(str(error)) from error


def _make_beside(video: Video) -> TranscodingJob:
    try:
        return TranscodingJob.objects.create(video=file_versions.begin(video))
    except VersionError as error:
        raise Refused(str(error)) from error


def redo(job: TranscodingJob, quality: str) -> str:
    """Make one quality of an unfinished or failed video again; the segments of the others are kept."""
    with transaction.atomic():
        job.lock()
        video = _alive(job)
        _check_redo(job, video, quality)
        job.reopen()
        job.restart_quality(quality)
        audit.record("re-encoded", subject=video, after={"quality": quality})
        # Before the commit: afterwards a worker may have begun to fill it again.
        files.remove(package_dir(placement.locked(video.pk) or video) / quality)
        transaction.on_commit(lambda: tasks.start(job))
    return _("%(quality)s of «%(video)s» is being made again.") % {"quality": quality, "video": video}


def _check_redo(job: TranscodingJob, video: Video, quality: str) -> None:
    if video.status == Video.Status.READY:
        raise Refused(
            _(
                "«%(video)s» is ready: one quality of it cannot be made alone. Re-encode the video "
                "(manage.py jobs encode)."
            )
            % {"video": video}
        )
    rows = dict(job.qualities.values_list("quality", "status"))
    if not rows:
        raise Refused(_("«%(video)s» has not been analysed yet, so it has no qualities.") % {"video": video})
    made = [name for name, status in rows.items() if status != QualityStatus.SKIPPED]
    if quality not in made:
        why = _("is above its source") if quality in rows else _("is none of its qualities")
        raise Refused(
            _("%(quality)s %(why)s: choose one of %(made)s.")
            % {"quality": quality, "why": why, "made": ", ".join(made)}
        )


def _alive(job: TranscodingJob) -> Video:
    """Return the video as it is now; raises Refused where it is archived or gone."""
    video = Video.objects.filter(pk=job.video_id).first()
    if video is None:
        raise Refused(_("The video is gone."))
    if video.deleted_at is not None:
        raise Refused(
            _("«%(video)s» is in the archive. Restore it first (manage.py restore_video); then the job continues.")
            % {"video": video}
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
        audit.record("retried the job of", subject=job.video)
    return number
