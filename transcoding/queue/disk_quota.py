"""The disk quota: the free bytes above the disk reserve, less those reserved for unfinished jobs.

A job reserves `TranscodingJob.reserved_bytes`, for the part that is not made yet, while it has a plan and is neither
finished nor archived. So no reservation has to be released, and a killed process leaves none behind. Uploads under way
have allocated their bytes on the disk, which are therefore not free; where the file system cannot allocate, their rows
say how many are still to come.
"""

from django.db import connection, transaction
from django.db.models import F, Min, Q, Sum
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from transcoding.engine.work import is_disk_full
from transcoding.models import UNFINISHED, JobQuerySet, QualityStatus, TranscodingJob
from videos.models import Upload
from vlog import disk
from vlog.disk import readable

LARGER_DISK = "Move the data folder to a larger disk, then try again."
TURN = 0x766C6F67  # the number of the advisory lock under which bytes are reserved and allocated


class InsufficientSpace(Exception):
    """A file does not fit now; the message says what to do."""


def reserved() -> int:
    """Return the bytes that unfinished jobs and uploads without allocated bytes have yet to write.

    The progress is that of the quality furthest behind: the large ones, which take most of the space, are made last.
    """
    behind = Min("qualities__progress_percent", filter=~Q(qualities__status=QualityStatus.SKIPPED))
    jobs = _unfinished().filter(plan__isnull=False).annotate(made=Coalesce(behind, 0))
    remaining = jobs.aggregate(total=Sum(F("reserved_bytes") * (100 - F("made")) / 100))["total"]
    return int(remaining or 0) + Upload.objects.announced_bytes()


def available() -> int:
    """Return the bytes that may still be reserved; not negative."""
    return max(0, disk.usage().available - reserved())


def fits(size: int) -> bool:
    """Return whether a file of so many bytes fits now."""
    return not disk.usage().is_low and size <= available()


def check(size: int) -> None:
    """Raise InsufficientSpace where a file of so many bytes does not fit now."""
    if not fits(size):
        raise InsufficientSpace(_not_enough(size))


def _not_enough(size: int) -> str:
    return (
        f"There is not enough disk space: the file has {readable(size)}, and {readable(available())} are "
        "available. Free some space, for example by deleting archived videos permanently, then upload it again."
    )


def allocate(descriptor: int, size: int, held: int = 0) -> bool:
    """Allocate the bytes of a file that arrives; False where the file system cannot. Raises InsufficientSpace.

    held: how many of them the file has already. Until the file is truncated or deleted, its bytes are not free for any
    other process. A killed process leaves the file, which the sweep of the uploads folder deletes.
    """
    with transaction.atomic():
        _take_turn()
        check(size - held)
        try:
            return disk.allocate(descriptor, size)
        except OSError as error:
            if not is_disk_full(error):
                raise
            raise InsufficientSpace(_not_enough(size)) from error


def _take_turn() -> None:
    """Wait until no other transaction reserves or allocates bytes: two must not get the same ones."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [TURN])


def reserve(job: TranscodingJob, size: int) -> bool:
    """Reserve bytes for a job, or record that it waits for them (False). Call it in a transaction."""
    _take_turn()
    job.reserved_bytes = size
    job.checkpoint(reserved_bytes=size)
    return fits(size)


def why_never(size: int) -> str:
    """Return why so many bytes will never fit, whatever is deleted; empty where they may."""
    now = disk.usage()
    if size <= now.total - now.reserve:
        return ""
    return (
        f"It needs about {readable(size)}, and the whole disk has {readable(now.total)}, of which "
        f"{readable(now.reserve)} stay free. {LARGER_DISK}"
    )


def waiting() -> "JobQuerySet":
    """Return the jobs that wait for disk space, the oldest first."""
    return _unfinished().waiting_for_space().order_by("pk")


def blocks(job: TranscodingJob) -> bool:
    """Return whether a job waits for disk space, without reading its plan."""
    if disk.usage().is_low:
        return True
    return waiting().filter(pk=job.pk, reserved_bytes__gt=available()).exists()


def why_waiting(size: int, free: int) -> str:
    """Return the reason for operators: the job needs `size` bytes, and `free` may still be reserved."""
    return _(
        "It waits for disk space: it needs about %(size)s, and %(free)s are available. Free some space; it continues "
        "by itself."
    ) % {"size": readable(size), "free": readable(free)}


def _unfinished() -> "JobQuerySet":
    return TranscodingJob.objects.filter(video__status__in=UNFINISHED, video__deleted_at=None)
