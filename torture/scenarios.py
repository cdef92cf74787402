"""What is broken, each while a video is being made; afterwards everything is mended and the video is to be ready."""

import random
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import redis
from django.conf import settings

from torture.rules import ended
from torture.site import Broken, Site, made, send
from transcoding import tasks
from transcoding.models import Attempt, ChunkKind, ChunkStatus, Outcome, Priority, TranscodingChunk, TranscodingJob
from transcoding.operations import control
from transcoding.queue.wakeups import notify_workers
from videos import archive
from videos.models import Video
from videos.storage.paths import archive_dir, packages_of, source_path
from vlog.environment import redis_client_url
from vlog.tests.processes import kill_all

BELLS = 50
SMALL = 2000  # bytes: no segment fits into a file of this size
QUIET = 2.0  # seconds in which nothing may come back


@dataclass
class Round:
    """One video, and what happens to it.

    at_work: the attempts that run when it happens, by piece; hits: how often some did; recovery: seconds from a fault
    to the next attempt at what was at work; stopped: seconds until no encoder runs.
    """

    site: Site
    job: TranscodingJob
    chance: random.Random
    recovery: list[float] = field(default_factory=list)
    stopped: list[float] = field(default_factory=list)
    at_work: dict[int, int] = field(default_factory=dict)
    crashes: int = 0
    hits: int = 0

    def moment(self) -> None:
        """Wait for a moment at which an encoder runs, somewhere in what is left of the video."""
        begin = made(self.job)
        more = self.chance.randint(0, 3)
        self.site.wait(lambda: made(self.job) >= begin + more or ended(self.job), "the moment")
        self.site.wait(lambda: bool(self.site.encoders(self.site.child("encode"))) or ended(self.job), "an encoder")
        time.sleep(self.chance.uniform(0, 0.05))
        running = self.job.chunks.filter(kind=ChunkKind.VIDEO, status=ChunkStatus.RUNNING)
        self.at_work = dict(running.values_list("pk", "attempt"))
        self.hits += bool(self.at_work)

    def recovers(self) -> None:
        """Note how long it takes until every piece that was at work is taken up again, or waits to be at the end.

        There go those of which nothing had come.
        """
        self.crashes += 1
        self.recovery.append(self.site.wait(self._goes_on, "somebody who goes on"))

    def _goes_on(self) -> bool:
        pieces = TranscodingChunk.objects.filter(pk__in=self.at_work).exclude(status=ChunkStatus.COMPLETED)
        pieces = pieces.exclude(status=ChunkStatus.PENDING, priority=Priority.RETRY)
        return all(attempt > self.at_work[pk] for pk, attempt in pieces.values_list("pk", "attempt"))

    def stops(self) -> None:
        """Note how long it takes until no encoder runs, and see that it stays so."""
        self.stopped.append(self.site.wait(lambda: not self.site.encoders(), "the end of the encoder"))

    def goes_on(self) -> None:
        """See that the video becomes ready, and try it again where it has failed."""
        self.site.wait(lambda: ended(self.job), "the end of the video")
        if self.job.video.status == Video.Status.FAILED:
            control.retry(self.job)


def ffmpeg(round: Round) -> None:
    """kill -9 of the encoder."""
    round.crashes += 1
    known = set(round.job.attempts.values_list("pk", flat=True))
    send(round.site.encoders(round.site.child("encode")), signal.SIGKILL)
    # What has failed comes last, so it is not this piece that is taken up next.
    newer = round.job.attempts.exclude(pk__in=known)
    round.recovery.append(round.site.wait(lambda: newer.exists() or ended(round.job), "another piece"))


def child(round: Round) -> None:
    """kill -9 of the process that works."""
    send([round.site.child("encode")], signal.SIGKILL)
    round.recovers()


def node(round: Round) -> None:
    """kill -9 of the node; the supervisor starts it again."""
    send([round.site.node("encode")], signal.SIGKILL)
    round.recovers()


def steps(round: Round) -> None:
    """kill -9 of the node that does the steps and the sound, in the middle and again at the end."""
    send([round.site.node("tasks")], signal.SIGKILL)
    round.site.wait(lambda: round.job.is_encoded() or ended(round.job), "the last piece")
    time.sleep(round.chance.uniform(0, 0.3))
    send([round.site.node("tasks")], signal.SIGKILL)


def everything(round: Round) -> None:
    """kill -9 of all processes, the database and the broker too; somebody starts it again."""
    kill_all(round.site.folder)
    round.site.up()
    round.recovers()


def term(round: Round) -> None:
    """SIGTERM: the node finishes its piece or gives it back, and ends."""
    node = round.site.node("encode")
    send([node, round.site.child("encode")], signal.SIGTERM)
    round.stopped.append(round.site.wait(lambda: round.site.node("encode") != node, "the end of the node"))
    for chunk, number in round.at_work.items():
        outcome = Attempt.objects.get(chunk=chunk, number=number).outcome
        if outcome not in {Outcome.RELEASED, Outcome.COMPLETED}:
            raise Broken(f"the attempt of a node that was asked to stop is {outcome}")
    round.recovers()


def bells_lost(round: Round) -> None:
    """Redis forgets everything."""
    broker().flushall()


def broker_dies(round: Round) -> None:
    """kill -9 of Redis; its keeper starts it again."""
    _restart(round.site, "valkey-server", signal.SIGKILL)


def database_dies(round: Round) -> None:
    """PostgreSQL is stopped or killed, every connection with it; its keeper starts it again."""
    _restart(round.site, "postgres -D", round.chance.choice([signal.SIGINT, signal.SIGKILL]))
    round.recovers()
    round.site.wait(round.site.answers, "the pages")


def _restart(site: Site, word: str, number: signal.Signals) -> None:
    pid = site.service(word)
    send([pid], number)
    site.wait(lambda: site.service(word) not in {0, pid}, f"another {word}")


def bells_doubled(round: Round) -> None:
    """Every bell rings fifty times, and every step comes again."""
    for _ in range(BELLS):
        notify_workers(ChunkKind.VIDEO)
        notify_workers(ChunkKind.AUDIO)
    tasks.start(round.job)
    tasks.start(round.job)
    tasks.finish(round.job.pk)


def machine(round: Round) -> None:
    """A machine dies with its piece, and does not come back: the lease gives it to somebody else."""
    _other_works(round)
    send(_machine(round.site), signal.SIGKILL)
    round.recovers()


def frozen(round: Round) -> None:
    """A machine stands still until its lease is gone and others have its piece; then it wakes up."""
    attempt = _other_works(round)
    if attempt is not None:
        send(_machine(round.site), signal.SIGSTOP)
        round.recovers()
        lost = Attempt.objects.filter(pk=attempt.pk).exclude(outcome=Outcome.RUNNING)
        round.site.wait(lost.exists, "the end of the lease")
        send(_machine(round.site), signal.SIGCONT)
        encoders = round.site.encoders(round.site.child("other"))
        what = "the end of the encoder that woke up"
        round.stopped.append(
            round.site.wait(lambda: not set(encoders) & set(round.site.encoders()), what),
        )
        if lost.get().outcome not in {Outcome.LOST, Outcome.COMPLETED}:
            raise Broken(f"the attempt of the machine that stood still is {lost.get().outcome}")
    send(_machine(round.site), signal.SIGKILL)


def _other_works(round: Round) -> Attempt | None:
    """The attempt that another machine is at; None where the video was over before it took one."""
    round.site.start_node("other")
    at_work = Attempt.objects.running().filter(worker_name="other@other", kind=ChunkKind.VIDEO)
    round.site.wait(lambda: at_work.exists() or ended(round.job), "work on another machine")
    time.sleep(round.chance.uniform(0, 0.1))
    attempt = at_work.first()
    round.at_work = {attempt.chunk_id: attempt.number} if attempt and attempt.chunk_id else {}
    return attempt


def _machine(site: Site) -> list[int]:
    child = site.child("other")
    return [pid for pid in (site.node("other"), child, *(site.encoders(child) if child else [])) if pid]


def disk(round: Round) -> None:
    """Nothing can be written any more, for a while."""
    child = round.site.child("encode")
    if not child:
        return
    unlimited = resource.prlimit(child, resource.RLIMIT_FSIZE)
    resource.prlimit(child, resource.RLIMIT_FSIZE, (SMALL, unlimited[1]))
    failed = Attempt.objects.filter(job=round.job, outcome=Outcome.FAILED)
    noticed = failed.exclude(pk__in=list(failed.values_list("pk", flat=True)))
    round.site.wait(lambda: noticed.exists() or ended(round.job), "an error of the disk")
    resource.prlimit(child, resource.RLIMIT_FSIZE, unlimited)
    if ended(round.job):
        round.goes_on()


def source(round: Round) -> None:
    """The original is gone, for a while."""
    path = source_path(round.job.video)
    away = path.with_suffix(".away")
    path.rename(away)
    round.site.wait(lambda: ended(round.job), "the end of the video")
    if round.job.video.status == Video.Status.FAILED and not round.job.video.error_message:
        raise Broken("it failed without a reason")
    away.rename(path)
    round.goes_on()


def archived(round: Round) -> None:
    """The video is archived, and restored later."""
    archive.archive(round.job.video_id, "torture")
    round.stops()
    _stays_away(round)
    archive.restore(round.job.video_id)
    round.job.video.refresh_from_db()
    round.recovers()


def deleted(round: Round) -> None:
    """The video is deleted for good."""
    video = Video.objects.get(pk=round.job.video_id)
    archive.archive(video.pk, "torture")
    if round.chance.random() < 0.5:
        time.sleep(round.chance.uniform(0, 0.5))
    archive.purge(video.pk)
    round.stops()
    _stays_away(round)
    if source_path(video).parent.exists() or archive_dir(video).exists():
        raise Broken("files of a deleted video are left")


def _stays_away(round: Round) -> None:
    """Nothing of the video may come back to where viewers get it."""
    end = time.monotonic() + QUIET
    while time.monotonic() < end:
        left = packages_of(round.job.video)
        if left or round.site.encoders():
            raise Broken(f"of a withdrawn video there is again: {left or 'an encoder'}")
        time.sleep(0.1)


def cancelled(round: Round) -> None:
    """An operator cancels it, and tries it again later."""
    try:
        control.cancel(round.job, "torture")
    except control.Refused:
        return  # it was ready before
    round.stops()
    before = made(round.job)
    time.sleep(QUIET)
    if made(round.job) != before or round.site.encoders():
        raise Broken("a cancelled video is still being made")
    round.goes_on()


def broker() -> "redis.Redis":
    client: redis.Redis = redis.Redis.from_url(redis_client_url(settings.REDIS_URL))
    return client


SCENARIOS: dict[str, Callable[[Round], None]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        ffmpeg, child, node, steps, everything, term, bells_lost, broker_dies, database_dies, bells_doubled,
        machine, frozen, disk, source, archived, deleted, cancelled,
    )
}  # fmt: skip
