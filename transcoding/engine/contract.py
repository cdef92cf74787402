"""What a worker and a queue of work agree on, wherever the two run."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from transcoding.engine.plan.ladder import Rung
from transcoding.engine.plan.plan import Plan

PROTOCOL = 1  # the version of docs/workers-api.md
INIT = -1  # the number under which a rendition's init segment is delivered


class LeaseLost(Exception):
    """The piece was given to somebody else, or is not wanted any more: stop, and write nothing."""


class Yield(Exception):
    """The rest of the piece is a piece of its own now: what was delivered completes this one."""


class ShuttingDown(Exception):
    """The worker is being shut down, or another part is waited for before this one has begun: give the piece back."""


@dataclass(frozen=True)
class Assignment:
    """A claimed piece: segments first to last (inclusive) of every rung of a tier, or the whole audio rendition.

    attempt is the fence: the queue refuses every later call that does not name the newest one. urgent: somebody waits
    for its first segment.
    """

    chunk: int
    attempt: int
    kind: str
    title: str
    source: str
    plan: Plan
    first: int
    last: int
    tier: int = 0
    urgent: bool = False

    @property
    def rungs(self) -> tuple[Rung, ...]:
        return self.plan.tier(self.tier)

    @property
    def renditions(self) -> tuple[str, ...]:
        """The names under which its segments are delivered."""
        return ("audio",) if self.kind == "audio" else tuple(rung.name for rung in self.rungs)


class Queue(Protocol):
    """Where work comes from and results go; every call but claim raises LeaseLost where the lease is gone."""

    def claim(self, kinds: Collection[str]) -> Assignment | None:
        """The piece of one of these kinds that matters most now, or None."""

    def deliver(self, assignment: Assignment, rendition: str, index: int, data: bytes) -> None:
        """Store one whole segment (or INIT); again with the same content is no harm.

        Raises Yield where somebody waits for another part of the video: complete the piece and claim anew.
        """

    def report(self, assignment: Assignment, percent: int | None = None) -> None:
        """Renew the lease; percent: how much of the chunk is done, where the worker knows.

        Raises Yield or ShuttingDown where a viewer waits for another part of the video.
        """

    def warn(self, assignment: Assignment, sentence: str) -> None:
        """Note for the editor what of the source could not be taken; the same again is no harm."""

    def complete(self, assignment: Assignment) -> None: ...

    def fail(self, assignment: Assignment, error: str, *, final: bool = False) -> None:
        """Spend an attempt; final: another one would end the same way."""

    def release(self, assignment: Assignment, reason: str = "") -> None:
        """Return the piece unspent; the reason is for the record."""
