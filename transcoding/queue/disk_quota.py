"""Who may write how much: what lies free above the mark, less what was promised to videos that are being made.

A promise is `TranscodingJob.reserved_bytes`. It holds while the job has a plan and is neither done nor in the archive,
for the part that is not made yet; so nobody has to give it back, and whoever is killed leaves none behind.
"""

from django.db import connection
from django.db.models import F, Min, Q, Sum
from django.db.models.functions import Coalesce

from transcoding.models import UNFINISHED, JobQuerySet, QualityStatus, TranscodingJob
from vlog import disk
from vlog.disk import readable

TURN = 0x766C6F67  # the number of the advisory lock that promises are made under


class InsufficientSpace(Exception):
    """It does not fit now; the message says what to do."""


def reserved() -> int:
    """Bytes that the jobs in the making have yet to write.

    What is made is told by the quality that is furthest behind: the large ones, which take most of the room, are last.
    """
    behind = Min("qualities__progress_percent", filter=~Q(qualities__status=QualityStatus.SKIPPED))
    jobs = _unfinished().filter(plan__isnull=False).annotate(made=Coalesce(behind, 0))
    left = jobs.aggregate(total=Sum(F("reserved_bytes") * (100 - F("made")) / 100))["total"]
    return int(left or 0)


def available() -> int:
    """Bytes that may be promised to somebody else; not negative."""
    return max(0, disk.usage().available - reserved())


def fits(size: int) -> bool:
    """Whether a file of so many bytes can be taken now."""
    return not disk.usage().is_low and size <= available()


def check(size: int) -> None:
    """Raise InsufficientSpace where a file of so many bytes cannot be taken now."""
    if not fits(size):
        raise InsufficientSpace(
            f"There is no room for it: it has {readable(size)}, and {readable(available())} may still be written. Free "
            "some room, for example by deleting archived videos for good, then send it again."
        )


def reserve(job: TranscodingJob, size: int) -> bool:
    """Promise a job so many bytes, or note that it waits for them (False). Call it in a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [TURN])  # two must not be promised the same room
    job.reserved_bytes = size
    job.checkpoint(reserved_bytes=size)
    return fits(size)


def why_never(size: int) -> str:
    """Why so many bytes will never fit, whatever is deleted; empty where they may."""
    now = disk.usage()
    if size <= now.total - now.reserve:
        return ""
    return (
        f"It needs about {readable(size)}, and the whole disk has {readable(now.total)}, of which "
        f"{readable(now.reserve)} stay free. Move the data folder to a larger disk, then try again."
    )


def waiting() -> "JobQuerySet":
    """Jobs that wait for room, the oldest first."""
    return _unfinished().waiting_for_space().order_by("pk")


def blocks(job: TranscodingJob) -> bool:
    """Whether nothing can be done for a job at the moment for want of room. Reads no plan."""
    if disk.usage().is_low:
        return True
    return waiting().filter(pk=job.pk, reserved_bytes__gt=available()).exists()


def why_waiting(size: int, free: int) -> str:
    """For operators, of a job that needs so many bytes where so many may be promised."""
    return (
        f"It waits for room on the disk: it needs about {readable(size)}, and {readable(free)} may still be promised. "
        "Free some room; it goes on by itself."
    )


def _unfinished() -> "JobQuerySet":
    return TranscodingJob.objects.filter(video__status__in=UNFINISHED, video__deleted_at=None)
