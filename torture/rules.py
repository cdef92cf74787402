"""The rules that hold after every round, whatever was broken in it."""

from collections.abc import Iterator

from django.conf import settings

from torture.site import Site, Violation
from transcoding.engine.package.files import UNFINISHED
from transcoding.engine.plan.plan import Plan
from transcoding.engine.verify import verify
from transcoding.models import Attempt, ChunkKind, ChunkStatus, QualityStatus, TranscodingChunk, TranscodingJob
from videos import orphans
from videos.models import Video
from videos.storage.paths import package_dir
from workers.models import Worker


def ended(job: TranscodingJob) -> bool:
    """Return whether the video is ready or has failed."""
    job.refresh_from_db()
    job.video.refresh_from_db()
    return job.video.status in {Video.Status.READY, Video.Status.FAILED}


def check(site: Site, job: TranscodingJob | None = None) -> None:
    """Raise Violation if a rule does not hold before the time-out."""
    problems: list[str] = []

    def holds() -> bool:
        problems[:] = _unsettled(site)
        return not problems

    try:
        site.wait(holds, "a clean state")
    except Violation as error:
        raise Violation("; ".join(problems) or str(error)) from error
    if job is not None and (faults := list(_faults_of(job))):
        raise Violation("; ".join(faults))


def _unsettled(site: Site) -> list[str]:
    """Return the leftovers of jobs that have ended, which may take a moment to go: rows, processes and files."""
    return [*_stale_rows(), *_orphans(site)]


def _stale_rows() -> Iterator[str]:
    yield from (f"{chunk} is still running" for chunk in TranscodingChunk.objects.filter(status=ChunkStatus.RUNNING))
    leased = TranscodingChunk.objects.exclude(lease_expires_at=None)
    yield from (f"{chunk} still has a lease" for chunk in leased)
    yield from (f"{attempt} is open" for attempt in Attempt.objects.running())
    over = TranscodingJob.objects.filter(video__status__in=["ready", "failed"])
    yield from (f"{job} has a quality in progress" for job in over.filter(qualities__status=QualityStatus.IN_PROGRESS))
    yield from (f"{worker} still has a job" for worker in Worker.objects.exclude(current_job=None))


def _orphans(site: Site) -> Iterator[str]:
    yield from (f"ffmpeg {pid} is still running" for pid in site.encoders())
    yield from (f"{part} is incomplete" for part in settings.MEDIA_DIR.rglob(f"*{UNFINISHED}"))
    yield from orphans.sentences(orphans.look())


def _faults_of(job: TranscodingJob) -> Iterator[str]:
    job.refresh_from_db()
    job.video.refresh_from_db()
    if job.video.status == Video.Status.FAILED and not job.video.error_message:
        yield "the video failed without an error message"
    if job.video.status != Video.Status.READY:
        return
    plan = Plan.from_json(job.plan or {})
    yield from verify(package_dir(job.video), plan)
    yield from (f"{chunk} is {chunk.status}" for chunk in job.chunks.encoding().exclude(status="completed"))
    if any(row.segments_completed != row.segments_total for row in job.qualities.exclude(status="skipped")):
        yield "a quality does not count all of its segments"


def made_twice(job: TranscodingJob) -> float:
    """Return the seconds of video that were encoded and delivered more than once."""
    spent = job.attempts.filter(kind=ChunkKind.VIDEO).values_list("seconds", flat=True)
    return max(0.0, round(sum(spent) - float(Plan.from_json(job.plan or {}).timeline.duration), 3))


def longest_chunk(job: TranscodingJob) -> float:
    """Return the seconds of the longest video chunk, which one crash may cost."""
    timeline = Plan.from_json(job.plan or {}).timeline
    chunks = job.chunks.filter(kind=ChunkKind.VIDEO)
    return max(float(sum(timeline.seconds(i) for i in range(c.first_segment, c.last_segment + 1))) for c in chunks)
