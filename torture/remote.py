"""What befalls remote workers and the way to them; `scenarios` has what befalls the site."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torture.fleet import Agent, Fleet
from torture.hostile import Hostile
from torture.proxy import BadProxy
from torture.rules import ended
from torture.scenarios import Round
from torture.site import Broken, made, send
from transcoding.models import Attempt, AttemptQuerySet, ChunkKind, Outcome
from workers import keys
from workers.models import Worker

SHORT_CUT = 2  # seconds; a lease holds for three times that
LOSS = 5  # percent of the packets
SLOW = 50  # kbit/s
SOME = 6  # segments: a fault that lasts does so until they are there


@dataclass
class RemoteRound(Round):
    """A video that agents make."""

    site: Fleet

    def moment(self) -> None:
        """Wait for a moment at which every agent is at work, somewhere in what is left of the video."""
        begin = made(self.job)
        more = self.chance.randint(0, 3)
        self.site.wait(lambda: made(self.job) >= begin + more or ended(self.job), "the moment")
        self.site.wait(lambda: all(agent.at_work() for agent in self.site.agents) or ended(self.job), "work of all")
        time.sleep(self.chance.uniform(0, 0.05))
        self.at_work = {a.chunk_id: a.number for agent in self.site.agents if (a := agent.at_work()) and a.chunk_id}
        self.hits += bool(self.at_work)

    def hurry(self) -> None:
        """Nothing is broken any more: make the rest as fast as may be."""
        self.site.pace(0)

    def victim(self) -> tuple[Agent, Attempt | None]:
        """One of the agents, and what it is at."""
        agent = self.chance.choice(self.site.agents)
        attempt = agent.at_work()
        self.at_work = {attempt.chunk_id: attempt.number} if attempt and attempt.chunk_id else {}
        return agent, attempt

    def progresses(self, segments: int = 1) -> None:
        """See that so many more segments come."""
        begin = made(self.job)
        self.site.wait(lambda: made(self.job) >= begin + segments or ended(self.job), "more segments")

    def is_lost(self, attempt: Attempt | None) -> None:
        """See that an attempt ended because nothing was heard of it."""
        if attempt is not None:
            attempt.refresh_from_db()
            if attempt.outcome not in {Outcome.LOST, Outcome.COMPLETED}:
                raise Broken(f"the attempt of an agent that nobody hears is {attempt.outcome}")


def cut_short(round: RemoteRound) -> None:
    """All cables are pulled, for less than a lease: everybody goes on with what it has."""
    for cable in round.site.cables:
        cable.pull()
    time.sleep(SHORT_CUT)
    for cable in round.site.cables:
        cable.plug()
    round.progresses()
    lost = round.job.attempts.filter(chunk__in=round.at_work, outcome=Outcome.LOST, kind=ChunkKind.VIDEO)
    round.crashes += lost.count()  # a busy machine may need longer to be heard again


def cut_long(round: RemoteRound) -> None:
    """A cable is pulled for longer than a lease: another has its piece, and what comes late is refused."""
    agent, attempt = round.victim()
    with _pulled(agent):
        round.recovers()
        round.is_lost(attempt)
    _takes_work_again(round, agent)


def cut_for_ever(round: RemoteRound) -> None:
    """A cable is pulled, and the video is made without that agent."""
    agent, attempt = round.victim()
    with _pulled(agent):
        round.recovers()
        round.is_lost(attempt)
        round.hurry()
        round.site.wait(lambda: ended(round.job), "the end of the video")
    round.stops()


@contextmanager
def _pulled(agent: Agent) -> Iterator[None]:
    agent.cable.pull()
    try:
        yield
    finally:
        agent.cable.plug()


def _takes_work_again(round: RemoteRound, agent: Agent) -> None:
    newer = Attempt.objects.filter(worker_name=agent.name, pk__gt=round.job.attempts.latest("pk").pk)
    round.site.wait(lambda: newer.exists() or bool(agent.at_work()) or ended(round.job), f"work of {agent.name}")


def loss(round: RemoteRound) -> None:
    """Of all packets, some are lost."""
    for cable in round.site.cables:
        cable.lose(LOSS)
    round.progresses(SOME)
    for cable in round.site.cables:
        cable.lose_nothing()


def slow(round: RemoteRound) -> None:
    """A line so slow that segments fill it: they come all the same, and the short lease of these rounds may run out."""
    agent, _ = round.victim()
    mine = round.job.attempts.filter(worker_name=agent.name, kind=ChunkKind.VIDEO)
    before = _made_by(mine)
    agent.cable.slow_down(SLOW)
    round.site.wait(lambda: _made_by(mine) > before or ended(round.job), "a segment by a slow line")
    agent.cable.speed_up()
    round.crashes += mine.filter(outcome=Outcome.LOST).count()
    if errors := list(mine.filter(outcome=Outcome.FAILED).values_list("error", flat=True)):
        raise Broken(f"on a slow line, {'; '.join(map(str, errors))}")


def _made_by(attempts: AttemptQuerySet) -> float:
    return sum(attempts.values_list("seconds", flat=True))


def web_dies(round: RemoteRound) -> None:
    """kill -9 of the web server, with the requests in it; it is started again, and agents ask again."""
    before = round.site.web()
    send(before, signal.SIGKILL)
    round.site.wait(lambda: not set(before) & set(round.site.web()), "the end of the web server")
    round.site.wait(round.site.answers, "the site")
    round.crashes += len(round.at_work)  # a busy machine may need longer than a lease
    round.progresses()


def site_restarts(round: RemoteRound) -> None:
    """The site is stopped, or all of it is killed, and started again; agents wait for it."""
    round.site.stop_site(round.chance.choice([signal.SIGTERM, signal.SIGKILL]))
    round.site.start_site()
    round.crashes += len(round.at_work)  # it may have been away for longer than a lease
    round.progresses()
    for agent in round.site.agents:
        if agent.is_over():
            raise Broken(f"{agent.name} ended because the site was away")


def agent_killed(round: RemoteRound) -> None:
    """kill -9 of an agent: its encoder dies with it, and another has its piece after the lease."""
    agent, _ = round.victim()
    agent.process.kill()
    agent.process.wait()
    round.stopped.append(round.site.wait(lambda: not agent.encoders(), "the end of its encoder"))
    round.recovers()
    agent.start()


def agent_frozen(round: RemoteRound) -> None:
    """An agent stands still until another has its piece, and wakes up: what comes late is refused."""
    agent, attempt = round.victim()
    frozen, encoders = agent.processes(), agent.encoders()
    send(frozen, signal.SIGSTOP)
    round.recovers()
    round.is_lost(attempt)
    send(frozen, signal.SIGCONT)
    round.stopped.append(round.site.wait(lambda: not encoders & agent.encoders(), "the end of the encoder that woke"))
    _takes_work_again(round, agent)


def key_shared(round: RemoteRound) -> None:
    """A second agent with the same key: both work, and neither takes what the other has."""
    agent = round.site.agents[0]
    twin = Agent(round.site, "twin", round.site.cables[1], key=agent.key)
    twin.start()
    together = Attempt.objects.running().filter(worker_name=agent.name, kind=ChunkKind.VIDEO)
    round.site.wait(lambda: together.count() > 1 or ended(round.job), "work of both with one key")
    before = round.job.attempts.filter(outcome=Outcome.LOST).count()
    round.progresses(SOME)
    if round.job.attempts.filter(outcome=Outcome.LOST).count() > before:
        raise Broken("two agents with one key take each other's pieces away")
    twin.stop()


def key_revoked(round: RemoteRound) -> None:
    """A key is revoked in the middle of a piece: the agent ends, and another has its piece after the lease."""
    agent, _ = round.victim()
    worker = Worker.objects.get(worker_name=agent.name)
    keys.revoke(worker)
    round.stopped.append(agent.ends_with(1))
    if agent.said("does not know this key") == 0:
        raise Broken(f"{agent.name} does not say that its key is refused")
    round.recovers()
    agent.give_key(keys.issue(worker)[0])
    agent.start()


def bad_proxy(round: RemoteRound) -> None:
    """A proxy in between that answers 502, or cuts off what it passes on."""
    agent = round.chance.choice(round.site.agents)
    agent.stop()
    proxy = BadProxy(round.site.port, round.chance)
    try:
        agent.start(proxy.address)
        round.site.wait(lambda: bool(agent.at_work()) or ended(round.job), "work by way of the proxy")
        round.site.wait(lambda: bool(proxy.refused and proxy.cut) or ended(round.job), "faults of the proxy")
        round.progresses()
        round.crashes += 1
        agent.stop()
    finally:
        proxy.close()
    agent.start()


def hostile(round: RemoteRound) -> None:
    """An agent of somebody hostile: nothing that it sends leaves its own claim."""
    enemy = Hostile(round.site)
    given: list[dict[str, Any]] = []

    def has_claimed() -> bool:
        given.extend(filter(None, [enemy.claim()]))
        return bool(given) or ended(round.job)

    round.site.wait(has_claimed, "a claim")
    for mine in given:
        enemy.attack(mine, round.site.agents[0].at_work())
        enemy.give_back(mine)


def together(round: RemoteRound) -> None:
    """A node of the site's own takes part."""
    round.site.start_node("other", VLOG_FFMPEG=str(round.site.paced))
    here = round.job.attempts.filter(kind=ChunkKind.VIDEO, worker_name="other@other", seconds__gt=0)
    far = round.job.attempts.filter(worker_name__in=[agent.name for agent in round.site.agents], seconds__gt=0)
    round.site.wait(lambda: here.exists() or ended(round.job), "work of the site's own")
    if not (here.exists() and far.exists()):
        raise Broken("the site's own node and the agents did not make one video together")
    send([round.site.node("other"), round.site.child("other")], signal.SIGTERM)
    round.site.wait(lambda: not round.site.node("other"), "the end of the node")


REMOTE: dict[str, Callable[[RemoteRound], None]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        cut_short, cut_long, loss, slow, web_dies, site_restarts, agent_killed, agent_frozen, key_shared, key_revoked,
        bad_proxy, hostile, together, cut_for_ever,
    )
}  # fmt: skip
