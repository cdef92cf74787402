"""The faults of remote workers and of the network between them and the site; `scenarios` has those of the site."""

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
from torture.site import Violation, segment_count, send
from transcoding.models import Attempt, AttemptQuerySet, ChunkKind, Outcome
from workers import keys
from workers.models import Worker

SHORT_OUTAGE = 2  # seconds, a third of the lease
LOSS = 5  # percent of the packets
SLOW = 50  # kbit/s
SOME = 6  # segments for which a lasting fault lasts


@dataclass
class RemoteRound(Round):
    """A video that agents make, and the faults that happen meanwhile."""

    site: Fleet

    def wait_for_moment(self) -> None:
        """Wait for a random moment at which every agent is working."""
        begin = segment_count(self.job)
        more = self.chance.randint(0, 3)
        self.site.wait(lambda: segment_count(self.job) >= begin + more or ended(self.job), "a few more segments")
        self.site.wait(
            lambda: all(agent.current_attempt() for agent in self.site.agents) or ended(self.job),
            "an attempt of every agent",
        )
        time.sleep(self.chance.uniform(0, 0.05))
        self.running = {
            a.chunk_id: a.number for agent in self.site.agents if (a := agent.current_attempt()) and a.chunk_id
        }
        self.hits += bool(self.running)

    def remove_limits(self) -> None:
        """Let the encoders run as fast as they can."""
        self.site.set_read_rate(0)

    def victim(self) -> tuple[Agent, Attempt | None]:
        """Return a random agent and its current attempt."""
        agent = self.chance.choice(self.site.agents)
        attempt = agent.current_attempt()
        self.running = {attempt.chunk_id: attempt.number} if attempt and attempt.chunk_id else {}
        return agent, attempt

    def progresses(self, segments: int = 1) -> None:
        """Wait for so many more segments."""
        begin = segment_count(self.job)
        self.site.wait(lambda: segment_count(self.job) >= begin + segments or ended(self.job), "more segments")

    def check_lost(self, attempt: Attempt | None) -> None:
        """Raise Violation unless the attempt was lost, or completed just before."""
        if attempt is not None:
            attempt.refresh_from_db()
            if attempt.outcome not in {Outcome.LOST, Outcome.COMPLETED}:
                raise Violation(f"the attempt of an unreachable agent is {attempt.outcome}")


def short_outage(round: RemoteRound) -> None:
    """All links fail for less than a lease: every agent continues with its chunk."""
    for link in round.site.links:
        link.disconnect()
    time.sleep(SHORT_OUTAGE)
    for link in round.site.links:
        link.connect()
    round.progresses()
    lost = round.job.attempts.filter(chunk__in=round.running, outcome=Outcome.LOST, kind=ChunkKind.VIDEO)
    round.crashes += lost.count()  # on a busy machine the next report may come too late


def long_outage(round: RemoteRound) -> None:
    """A link fails for longer than a lease: another worker gets the chunk, and late deliveries are refused."""
    agent, attempt = round.victim()
    with _disconnected(agent):
        round.recovers()
        round.check_lost(attempt)
    _wait_for_claim(round, agent)


def permanent_outage(round: RemoteRound) -> None:
    """A link fails permanently, and the video is made without that agent."""
    agent, attempt = round.victim()
    with _disconnected(agent):
        round.recovers()
        round.check_lost(attempt)
        round.remove_limits()
        round.site.wait(lambda: ended(round.job), "the end of the video")
    round.stops()


@contextmanager
def _disconnected(agent: Agent) -> Iterator[None]:
    agent.link.disconnect()
    try:
        yield
    finally:
        agent.link.connect()


def _wait_for_claim(round: RemoteRound, agent: Agent) -> None:
    newer = Attempt.objects.filter(worker_name=agent.name, pk__gt=round.job.attempts.latest("pk").pk)
    round.site.wait(
        lambda: newer.exists() or bool(agent.current_attempt()) or ended(round.job), f"a claim of {agent.name}"
    )


def packet_loss(round: RemoteRound) -> None:
    """Some packets are lost."""
    for link in round.site.links:
        link.set_loss(LOSS)
    round.progresses(SOME)
    for link in round.site.links:
        link.remove_loss()


def slow_link(round: RemoteRound) -> None:
    """Segments saturate a slow link: they arrive all the same, although the short lease may expire."""
    agent, _ = round.victim()
    attempts = round.job.attempts.filter(worker_name=agent.name, kind=ChunkKind.VIDEO)
    before = _made_by(attempts)
    agent.link.set_rate(SLOW)
    round.site.wait(lambda: _made_by(attempts) > before or ended(round.job), "a segment over a slow link")
    agent.link.remove_rate()
    round.crashes += attempts.filter(outcome=Outcome.LOST).count()
    if errors := list(attempts.filter(outcome=Outcome.FAILED).values_list("error", flat=True)):
        raise Violation(f"attempts over a slow link failed: {'; '.join(map(str, errors))}")


def _made_by(attempts: AttemptQuerySet) -> float:
    return sum(attempts.values_list("seconds", flat=True))


def web_killed(round: RemoteRound) -> None:
    """kill -9 of the web server during requests: it is restarted, and the agents repeat them."""
    before = round.site.web()
    send(before, signal.SIGKILL)
    round.site.wait(lambda: not set(before) & set(round.site.web()), "the end of the web server")
    round.site.wait(round.site.answers, "the site")
    round.crashes += len(round.running)  # a busy machine may need longer than a lease
    round.progresses()


def site_restarts(round: RemoteRound) -> None:
    """The whole site is stopped or killed, and started again; the agents wait for it."""
    round.site.stop_site(round.chance.choice([signal.SIGTERM, signal.SIGKILL]))
    round.site.start_site()
    round.crashes += len(round.running)  # the site may have been down for longer than a lease
    round.progresses()
    for agent in round.site.agents:
        if agent.has_ended():
            raise Violation(f"{agent.name} exited because the site was down")


def agent_killed(round: RemoteRound) -> None:
    """kill -9 of an agent: its encoder ends with it, and another worker gets the chunk after the lease."""
    agent, _ = round.victim()
    agent.process.kill()
    agent.process.wait()
    round.stopped.append(round.site.wait(lambda: not agent.encoders(), "the end of its encoder"))
    round.recovers()
    agent.start()


def agent_frozen(round: RemoteRound) -> None:
    """An agent is suspended until another has its chunk, and continued: late deliveries are refused."""
    agent, attempt = round.victim()
    frozen, encoders = agent.processes(), agent.encoders()
    send(frozen, signal.SIGSTOP)
    round.recovers()
    round.check_lost(attempt)
    send(frozen, signal.SIGCONT)
    round.stopped.append(round.site.wait(lambda: not encoders & agent.encoders(), "the end of the continued encoder"))
    _wait_for_claim(round, agent)


def key_shared(round: RemoteRound) -> None:
    """A second agent uses the same key: both work, and neither disturbs the other's chunk."""
    agent = round.site.agents[0]
    twin = Agent(round.site, "twin", round.site.links[1], key=agent.key)
    twin.start()
    both = Attempt.objects.running().filter(worker_name=agent.name, kind=ChunkKind.VIDEO)
    round.site.wait(lambda: both.count() > 1 or ended(round.job), "attempts of both agents")
    before = round.job.attempts.filter(outcome=Outcome.LOST).count()
    round.progresses(SOME)
    if round.job.attempts.filter(outcome=Outcome.LOST).count() > before:
        raise Violation("two agents with one key lose each other's leases")
    twin.stop()


def key_revoked(round: RemoteRound) -> None:
    """A key is revoked during a chunk: the agent exits, and another worker gets the chunk after the lease."""
    agent, _ = round.victim()
    worker = Worker.objects.get(worker_name=agent.name)
    keys.revoke(worker)
    round.stopped.append(agent.wait_for_exit(1))
    if agent.logged("does not know this key") == 0:
        raise Violation(f"{agent.name} does not log that its key is refused")
    round.recovers()
    agent.give_key(keys.issue(worker)[0])
    agent.start()


def bad_proxy(round: RemoteRound) -> None:
    """A proxy between an agent and the site answers 502, or truncates answers."""
    agent = round.chance.choice(round.site.agents)
    agent.stop()
    proxy = BadProxy(round.site.port, round.chance)
    try:
        agent.start(proxy.address)
        round.site.wait(lambda: bool(agent.current_attempt()) or ended(round.job), "an attempt through the proxy")
        round.site.wait(lambda: bool(proxy.refused and proxy.truncated) or ended(round.job), "faults of the proxy")
        round.progresses()
        round.crashes += 1
        agent.stop()
    finally:
        proxy.close()
    agent.start()


def hostile(round: RemoteRound) -> None:
    """A hostile agent attacks the site: nothing outside its own claim changes."""
    enemy = Hostile(round.site)
    claims: list[dict[str, Any]] = []

    def has_claimed() -> bool:
        claims.extend(filter(None, [enemy.claim()]))
        return bool(claims) or ended(round.job)

    round.site.wait(has_claimed, "a claim")
    for own in claims:
        enemy.attack(own, round.site.agents[0].current_attempt())
        enemy.give_up(own)


def mixed_fleet(round: RemoteRound) -> None:
    """A local node helps the agents."""
    round.site.start_node("other", VLOG_FFMPEG=str(round.site.slow_ffmpeg))
    local = round.job.attempts.filter(kind=ChunkKind.VIDEO, worker_name="other@other", seconds__gt=0)
    remote = round.job.attempts.filter(worker_name__in=[agent.name for agent in round.site.agents], seconds__gt=0)
    round.site.wait(lambda: local.exists() or ended(round.job), "a segment of the local node")
    if not (local.exists() and remote.exists()):
        raise Violation("the local node and the agents did not both make segments")
    send([round.site.node("other"), round.site.child("other")], signal.SIGTERM)
    round.site.wait(lambda: not round.site.node("other"), "the end of the node")


REMOTE: dict[str, Callable[[RemoteRound], None]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        short_outage, long_outage, packet_loss, slow_link, web_killed, site_restarts, agent_killed, agent_frozen,
        key_shared, key_revoked, bad_proxy, hostile, mixed_fleet, permanent_outage,
    )
}  # fmt: skip
