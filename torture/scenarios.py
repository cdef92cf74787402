"""The faults of a site. Each happens while a video is made and is then repaired, and the video must become ready."""

import random
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import redis
from django.conf import settings

from torture.rules import ended
from torture.site import Site, Violation, segment_count, send
from transcoding import tasks
from transcoding.models import Attempt, ChunkKind, ChunkStatus, Outcome, Priority, TranscodingChunk, TranscodingJob
from transcoding.operations import control
from transcoding.queue.wakeups import notify_workers
from videos import archive
from videos.models import Video
from videos.storage import placement
from videos.storage.paths import archived_package, package_dir, packages_of, source_path
from vlog.environment import redis_client_url
from vlog.tests.processes import kill_all

WAKEUPS = 50
MAX_FILE = 2000  # bytes: no segment fits into a file of this size
QUIET = 2.0  # seconds in which nothing may happen


@dataclass
class Round:
    """One video, and the faults that happen while it is made.

    running: the attempt of each chunk that ran when the fault happened; hits: how many faults found one; recovery:
    seconds from a fault to the next attempt at each of these chunks; stopped: seconds until no encoder runs.
    """

    site: Site
    job: TranscodingJob
    chance: random.Random
    recovery: list[float] = field(default_factory=list)
    stopped: list[float] = field(default_factory=list)
    running: dict[int, int] = field(default_factory=dict)
    crashes: int = 0
    hits: int = 0

    def wait_for_moment(self) -> None:
        """Wait for a random moment at which an encoder runs."""
        begin = segment_count(self.job)
        more = self.chance.randint(0, 3)
        self.site.wait(lambda: segment_count(self.job) >= begin + more or ended(self.job), "a few more segments")
        self.site.wait(lambda: bool(self.site.encoders(self.site.child("encode"))) or ended(self.job), "an encoder")
        time.sleep(self.chance.uniform(0, 0.05))
        chunks = self.job.chunks.filter(kind=ChunkKind.VIDEO, status=ChunkStatus.RUNNING)
        self.running = dict(chunks.values_list("pk", "attempt"))
        self.hits += bool(self.running)

    def recovers(self) -> None:
        """Note the seconds until every chunk that was running is claimed again, or pending at the end of the queue.

        Chunks without a delivered segment go to the end of the queue.
        """
        self.crashes += 1
        self.recovery.append(self.site.wait(self._has_recovered, "the next attempt"))

    def _has_recovered(self) -> bool:
        chunks = TranscodingChunk.objects.filter(pk__in=self.running).exclude(status=ChunkStatus.COMPLETED)
        chunks = chunks.exclude(status=ChunkStatus.PENDING, priority=Priority.RETRY)
        return all(attempt > self.running[pk] for pk, attempt in chunks.values_list("pk", "attempt"))

    def stops(self) -> None:
        """Note the seconds until no encoder runs."""
        self.stopped.append(self.site.wait(lambda: not self.site.encoders(), "the end of the encoder"))

    def retry(self) -> None:
        """Wait for the end of the video, and retry it if it failed."""
        self.site.wait(lambda: ended(self.job), "the end of the video")
        if self.job.video.status == Video.Status.FAILED:
            control.retry(self.job)


def ffmpeg(round: Round) -> None:
    """kill -9 of the encoder."""
    round.crashes += 1
    known = set(round.job.attempts.values_list("pk", flat=True))
    send(round.site.encoders(round.site.child("encode")), signal.SIGKILL)
    # A failed chunk goes to the end of the queue, so the next attempt is at another one.
    newer = round.job.attempts.exclude(pk__in=known)
    round.recovery.append(round.site.wait(lambda: newer.exists() or ended(round.job), "the next attempt"))


def child(round: Round) -> None:
    """kill -9 of the working process of a node."""
    send([round.site.child("encode")], signal.SIGKILL)
    round.recovers()


def node(round: Round) -> None:
    """kill -9 of the node; the supervisor restarts it."""
    send([round.site.node("encode")], signal.SIGKILL)
    round.recovers()


def steps(round: Round) -> None:
    """kill -9 of the node that runs the pipeline steps and encodes the audio, once in between and once at the end."""
    send([round.site.node("tasks")], signal.SIGKILL)
    round.site.wait(lambda: round.job.is_encoded() or ended(round.job), "the last chunk")
    time.sleep(round.chance.uniform(0, 0.3))
    send([round.site.node("tasks")], signal.SIGKILL)


def everything(round: Round) -> None:
    """kill -9 of all processes, including the database and the broker; then everything is started again."""
    kill_all(round.site.folder)
    round.site.up()
    round.recovers()


def term(round: Round) -> None:
    """SIGTERM: the node completes or releases its chunk, and exits."""
    node = round.site.node("encode")
    send([node, round.site.child("encode")], signal.SIGTERM)
    round.stopped.append(round.site.wait(lambda: round.site.node("encode") != node, "the end of the node"))
    for chunk, number in round.running.items():
        outcome = Attempt.objects.get(chunk=chunk, number=number).outcome
        if outcome not in {Outcome.RELEASED, Outcome.COMPLETED}:
            raise Violation(f"the attempt of a stopped node is {outcome}")
    round.recovers()


def wakeups_lost(round: Round) -> None:
    """Redis loses everything."""
    broker().flushall()


def broker_killed(round: Round) -> None:
    """kill -9 of Redis; its keeper restarts it."""
    _restart(round.site, "valkey-server", signal.SIGKILL)


def database_killed(round: Round) -> None:
    """PostgreSQL is stopped or killed with all connections; its keeper restarts it."""
    _restart(round.site, "postgres -D", round.chance.choice([signal.SIGINT, signal.SIGKILL]))
    round.recovers()
    round.site.wait(round.site.answers, "the pages")


def _restart(site: Site, word: str, number: signal.Signals) -> None:
    pid = site.service(word)
    send([pid], number)
    site.wait(lambda: site.service(word) not in {0, pid}, f"the restart of {word}")


def wakeups_doubled(round: Round) -> None:
    """Every wake-up is sent fifty times, and every pipeline step is started again."""
    for _ in range(WAKEUPS):
        notify_workers(ChunkKind.VIDEO)
        notify_workers(ChunkKind.AUDIO)
    tasks.start(round.job)
    tasks.start(round.job)
    tasks.finish(round.job.pk)


def machine(round: Round) -> None:
    """A machine is lost with its chunk: after the lease another worker claims it."""
    _start_other(round)
    send(_machine(round.site), signal.SIGKILL)
    round.recovers()


def frozen(round: Round) -> None:
    """A machine is suspended until its lease has expired and others have its chunk, and then continued."""
    attempt = _start_other(round)
    if attempt is not None:
        send(_machine(round.site), signal.SIGSTOP)
        round.recovers()
        lost = Attempt.objects.filter(pk=attempt.pk).exclude(outcome=Outcome.RUNNING)
        round.site.wait(lost.exists, "the end of the lease")
        send(_machine(round.site), signal.SIGCONT)
        encoders = round.site.encoders(round.site.child("other"))
        what = "the end of the continued encoder"
        round.stopped.append(
            round.site.wait(lambda: not set(encoders) & set(round.site.encoders()), what),
        )
        if lost.get().outcome not in {Outcome.LOST, Outcome.COMPLETED}:
            raise Violation(f"the attempt of the suspended machine is {lost.get().outcome}")
    send(_machine(round.site), signal.SIGKILL)


def _start_other(round: Round) -> Attempt | None:
    """Start a node on another machine and return its attempt, None if the video ended before it claimed a chunk."""
    round.site.start_node("other")
    attempts = Attempt.objects.running().filter(worker_name="other@other", kind=ChunkKind.VIDEO)
    round.site.wait(lambda: attempts.exists() or ended(round.job), "an attempt on the other machine")
    time.sleep(round.chance.uniform(0, 0.1))
    attempt = attempts.first()
    round.running = {attempt.chunk_id: attempt.number} if attempt and attempt.chunk_id else {}
    return attempt


def _machine(site: Site) -> list[int]:
    child = site.child("other")
    return [pid for pid in (site.node("other"), child, *(site.encoders(child) if child else [])) if pid]


def disk(round: Round) -> None:
    """For a while no file can be written."""
    child = round.site.child("encode")
    if not child:
        return
    unlimited = resource.prlimit(child, resource.RLIMIT_FSIZE)
    resource.prlimit(child, resource.RLIMIT_FSIZE, (MAX_FILE, unlimited[1]))
    failed = Attempt.objects.filter(job=round.job, outcome=Outcome.FAILED)
    new = failed.exclude(pk__in=list(failed.values_list("pk", flat=True)))
    round.site.wait(lambda: new.exists() or ended(round.job), "a write error")
    resource.prlimit(child, resource.RLIMIT_FSIZE, unlimited)
    if ended(round.job):
        round.retry()


def source(round: Round) -> None:
    """For a while the original is missing."""
    path = source_path(round.job.video)
    away = path.with_suffix(".away")
    path.rename(away)
    round.site.wait(lambda: ended(round.job), "the end of the video")
    if round.job.video.status == Video.Status.FAILED and not round.job.video.error_message:
        raise Violation("the video failed without an error message")
    away.rename(path)
    round.retry()


def archived(round: Round) -> None:
    """The video is archived and later restored."""
    archive.archive(round.job.video_id, "torture")
    round.stops()
    _check_absent(round)
    archive.restore(round.job.video_id)
    round.job.video.refresh_from_db()
    round.recovers()


def withdrawn(round: Round) -> None:
    """A video that is public early becomes private and public again, several times, while it is encoded."""
    videos = Video.objects.filter(pk=round.job.video_id)
    for _ in range(round.chance.randint(2, 5)):
        videos.update(publish_early=True, playable=True, visibility="public")
        videos.update(visibility="private")
        if round.chance.random() < 0.5:  # else the process that should move the files was killed
            placement.relocate_marked()
        time.sleep(round.chance.uniform(0, 1))
    videos.update(visibility="public")
    round.site.wait(lambda: ended(round.job), "the end of the video")
    placement.relocate_marked()
    round.job.video.refresh_from_db()
    if packages_of(round.job.video) != [package_dir(round.job.video)]:
        raise Violation(f"the package lies in {packages_of(round.job.video)}")


def deleted(round: Round) -> None:
    """The video is deleted permanently."""
    video = Video.objects.get(pk=round.job.video_id)
    archive.archive(video.pk, "torture")
    if round.chance.random() < 0.5:
        time.sleep(round.chance.uniform(0, 0.5))
    archive.purge(video.pk)
    round.stops()
    _check_absent(round)
    if source_path(video).parent.exists() or archived_package(video).parent.exists():
        raise Violation("files of a deleted video remain")


def _check_absent(round: Round) -> None:
    """Raise Violation if a package of the video or an encoder appears again."""
    end = time.monotonic() + QUIET
    while time.monotonic() < end:
        packages = packages_of(round.job.video)
        if packages or round.site.encoders():
            raise Violation(f"a removed video appears again: {packages or 'an encoder'}")
        time.sleep(0.1)


def cancelled(round: Round) -> None:
    """An operator cancels the job and later retries it."""
    try:
        control.cancel(round.job, "torture")
    except control.Refused:
        return  # the video was ready already
    round.stops()
    before = segment_count(round.job)
    time.sleep(QUIET)
    if segment_count(round.job) != before or round.site.encoders():
        raise Violation("a cancelled video is still encoded")
    round.retry()


def broker() -> "redis.Redis":
    client: redis.Redis = redis.Redis.from_url(redis_client_url(settings.REDIS_URL))
    return client


SCENARIOS: dict[str, Callable[[Round], None]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        ffmpeg, child, node, steps, everything, term, wakeups_lost, broker_killed, database_killed, wakeups_doubled,
        machine, frozen, disk, source, archived, withdrawn, deleted, cancelled,
    )
}  # fmt: skip
