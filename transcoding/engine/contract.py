"""What a worker and a queue agree on, wherever the two run."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from transcoding.engine.plan.plan import Plan
from transcoding.engine.renditions import Rendition
from transcoding.engine.timeline import Timeline

PROTOCOL = 1  # the version of docs/workers-api.md
INIT = -1  # the number under which a rendition's init segment is delivered


class LeaseLost(Exception):
    """The chunk was given to another worker, or its job was cancelled: stop, and write nothing."""


class Yield(Exception):
    """The rest of the chunk became a chunk of its own: what was delivered completes this one."""


class ShuttingDown(Exception):
    """The worker is to stop, or a viewer waits for another part before this one has begun: release the chunk."""


@dataclass(frozen=True)
class Assignment:
    """A claimed chunk: segments first to last (inclusive) of all renditions of a kind and tier.

    attempt is the fence: the queue refuses every later call that does not name the newest one. urgent: a viewer waits
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
    def renditions(self) -> tuple[Rendition, ...]:
        """The renditions that it makes; none where it makes something else of the video."""
        return self.plan.together(self.kind, self.tier)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys under which its segments are delivered."""
        return tuple(rendition.key for rendition in self.renditions)

    @property
    def timeline(self) -> Timeline:
        """The segments that first and last count."""
        return self.plan.timeline_of(self.renditions[0]) if self.renditions else self.plan.timeline


class Queue(Protocol):
    """Where work comes from and results go; every call but claim raises LeaseLost where the lease is lost."""

    def claim(self, kinds: Collection[str]) -> Assignment | None:
        """Return the most important chunk of one of these kinds, or None."""

    def deliver(self, assignment: Assignment, rendition: str, index: int, data: bytes) -> None:
        """Store one whole segment (or INIT); repeating it with the same content does no harm.

        Raises Yield where a viewer waits for another part of the video: complete the chunk and claim anew.
        """

    def report(self, assignment: Assignment, percent: int | None = None) -> None:
        """Renew the lease; percent: how much of the chunk is done, where the worker knows.

        Raises Yield or ShuttingDown where a viewer waits for another part of the video.
        """

    def warn(self, assignment: Assignment, sentence: str) -> None:
        """Record for the editor what of the source could not be used; repeating it does no harm."""

    def complete(self, assignment: Assignment) -> None: ...

    def fail(self, assignment: Assignment, error: str, *, final: bool = False) -> None:
        """Spend an attempt; final: another one would end the same way."""

    def release(self, assignment: Assignment, reason: str = "") -> None:
        """Return the chunk without spending an attempt; the reason is for the record."""
