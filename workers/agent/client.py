"""The queue of work over HTTP, for workers without the site's storage: the calls of docs/workers-api.md. No Django."""

import hashlib
import json
import logging
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from typing import Any
from uuid import uuid4

from transcoding.engine.contract import INIT, Assignment, LeaseLost, ShuttingDown, Yield
from transcoding.engine.encode import EncodeError
from transcoding.engine.plan.untrusted import read_plan
from transcoding.engine.source.loopback import SourceServer
from transcoding.engine.speech.transcribe import Order, Recognition, Transcript
from workers.agent.connection import Connection, Disabled, Garbled, Refused, Rejected, Site
from workers.agent.source import RemoteSource

log = logging.getLogger(__name__)

REPORT_SECONDS = 3  # between two reports; a cancelled encoder stops within this time
REPORTS_PER_LEASE = 4  # at least, where leases are short
FAREWELL_SECONDS = 5  # to complete, fail or release a chunk once the agent is being stopped
MAX_UPLOADS = 3  # of one segment, where the site receives other bytes than were sent
MAX_ERROR = 8000  # characters; the end of ffmpeg's log is the part that explains a failure
ORDERS: dict[str, type[Exception]] = {"complete": Yield, "give_back": ShuttingDown}


class LeaseKeeper(threading.Thread):
    """A thread that renews a chunk's lease on its own connection, because sending a segment may outlast the lease.

    It ends with the chunk. `error` is then the reason, which `check` raises.
    """

    def __init__(
        self, site: Site, assignment: Assignment, lease: float, stop: threading.Event, interrupt: Callable[[], None]
    ):
        super().__init__(daemon=True, name=f"lease of {assignment.chunk}")
        self.path, self.attempt = f"chunks/{assignment.chunk}/", assignment.attempt
        self.stop, self.interrupt = stop, interrupt
        self.percent: int | None = None
        self.error: Exception | None = None
        self._interval = min(REPORT_SECONDS, lease / REPORTS_PER_LEASE)
        self._connection, self._ended = Connection(site), threading.Event()

    def check(self) -> None:
        """Raise the error that ended the chunk, or ShuttingDown if the agent is being stopped."""
        if self.error is not None:
            raise self.error
        if self.stop.is_set():
            raise ShuttingDown

    def check_source(self) -> None:
        """Raise the error that ended the chunk, unless it is an order.

        The encoder itself obeys orders, and must not see a broken source before it has done so.
        """
        if self.error is not None and not isinstance(self.error, Yield | ShuttingDown):
            raise self.error

    def abort(self, error: Exception) -> None:
        """End the chunk with this error and interrupt the request under way."""
        if not self._ended.is_set():
            self.error = self.error or error
            self.interrupt()

    def end(self) -> None:
        """Stop renewing the lease."""
        self._ended.set()
        self._connection.interrupt()

    def run(self) -> None:
        while not self._ended.wait(self._interval) and self.error is None:
            message = {"attempt": self.attempt, "percent": self.percent}
            try:
                answer = self._connection.post(f"{self.path}report", message, self._check_ended)
            except (LeaseLost, Refused, Disabled, Rejected) as error:
                self.abort(error)
            except ShuttingDown:
                break
            else:
                if order := ORDERS.get(answer.get("order", "")):
                    self.abort(order())
        self._connection.close()

    def _check_ended(self) -> None:
        if self._ended.is_set():
            raise ShuttingDown


class RemoteQueue:
    """The queue of one worker, which claims chunks and delivers their segments; used by one thread.

    Besides the exceptions of every queue, each call may raise Disabled and Refused.
    """

    def __init__(self, site: Site, sources: SourceServer, stop: threading.Event) -> None:
        self.site, self.sources, self.stop = site, sources, stop
        self.again_in, self.held_back = 0.0, ""
        self._connection = Connection(site)
        self._keeper: LeaseKeeper | None = None
        self._source: RemoteSource | None = None
        self._order, self._is_finishing = Order(), False

    def claim(self, kinds: Collection[str]) -> Assignment | None:
        """Claim a chunk, or return None. Raises ShuttingDown if the agent is stopped before the site has answered."""
        self.close_chunk()
        self._is_finishing = False
        message = {"kinds": list(kinds), "claim": str(uuid4())}
        answer = self._connection.post("claim", message, self._check_stopped)
        try:
            self.again_in, self.held_back = float(answer["again_in"]), answer.get("held_back") or ""
            return self._accept(answer["assignment"]) if answer["assignment"] else None
        except (KeyError, TypeError, ValueError) as error:
            raise Refused(
                f"This agent does not understand the work that {self.site.address} sent ({error!r}): "
                "download agent.pyz from the site again."
            ) from error

    def _accept(self, data: Mapping[str, Any]) -> Assignment:
        """Return the assignment of a claim's answer; from now on its lease is renewed and its source is served."""
        plan = read_plan(data["plan"])
        facts: dict[str, Any] = {name: int(data[name]) for name in ("chunk", "attempt", "first", "last", "tier")}
        facts |= {"kind": data["kind"], "title": str(data["title"]), "urgent": bool(data["urgent"])}
        assignment = Assignment(**facts, source="", plan=plan)
        if not 0 <= assignment.first <= assignment.last < len(assignment.timeline):
            raise ValueError("the chunk lies outside its video")
        times = {name: float(data.get(name) or 0) for name in ("begin", "end")}
        self._order = Order(str(data.get("language") or ""), str(data.get("prompt") or ""), **times)
        self._keeper = LeaseKeeper(self.site, assignment, float(data["lease"]), self.stop, self._connection.interrupt)
        self._source = RemoteSource(
            Connection(self.site),
            f"chunks/{assignment.chunk}/source?attempt={assignment.attempt}",
            int(data["source"]["size"]),
            str(data["source"]["etag"]),
            hashlib.sha256(json.dumps(data["plan"]).encode()).hexdigest(),
            self._keeper.check_source,
            self._keeper.abort,
        )
        self._keeper.start()
        return Assignment(**{**vars(assignment), "source": self.sources.serve(self._source)})

    def order_of(self, assignment: Assignment) -> Order:
        return self._order

    def deliver(self, assignment: Assignment, rendition: str, index: int, data: bytes) -> None:
        name = "init" if index == INIT else str(index)
        digest = b64encode(hashlib.sha256(data).digest()).decode()
        headers = {"Content-Type": "application/octet-stream", "Content-Digest": f"sha-256=:{digest}:"}
        path = f"chunks/{assignment.chunk}/segments/{rendition}/{name}?attempt={assignment.attempt}"
        keeper = self._current_keeper()
        for remaining in reversed(range(MAX_UPLOADS)):
            try:
                answer = self._connection.call("PUT", path, data, headers, keeper.check)
                break
            except Garbled:
                if not remaining:
                    raise
        keeper.check()
        if order := ORDERS.get(answer.get("order", "")):
            raise order

    def report(self, assignment: Assignment, percent: int | None = None) -> None:
        """Pass the percentage to the thread that renews the lease, and raise the error that has ended the chunk."""
        keeper = self._current_keeper()
        keeper.percent = keeper.percent if percent is None else percent
        keeper.check()

    def warn(self, assignment: Assignment, sentence: str) -> None:
        message = {"attempt": assignment.attempt, "sentence": sentence}
        self._connection.post(f"chunks/{assignment.chunk}/warn", message, self._current_keeper().check)

    def complete(self, assignment: Assignment) -> None:
        try:
            self._finish(assignment, "complete")
        except Rejected as error:  # the site misses a segment
            self.fail(assignment, str(error))

    def publish(self, assignment: Assignment, transcript: Transcript) -> None:
        captions = [asdict(caption) for caption in transcript.captions]
        self._finish(assignment, "transcript", language=transcript.language, captions=captions)

    def keep(self, assignment: Assignment, recognition: Recognition) -> None:
        self._finish(assignment, "speech", languages=recognition.languages, said=recognition.said)

    def fail(self, assignment: Assignment, error: str, *, final: bool = False) -> None:
        cause = self._current_keeper().error
        if isinstance(cause, EncodeError):
            error = str(cause)  # ffmpeg failed for this reason
        error = error.replace("\0", "")[-MAX_ERROR:].strip() or "ffmpeg failed without a message"
        self._finish(assignment, "fail", error=error, final=final)

    def release(self, assignment: Assignment, reason: str = "") -> None:
        self._finish(assignment, "give_back", reason=reason)

    def _finish(self, assignment: Assignment, call: str, **fields: Any) -> None:
        """Send the last message about a chunk. From now on its lease is not renewed."""
        keeper = self._current_keeper()
        if isinstance(keeper.error, LeaseLost | Disabled | Refused):
            raise keeper.error
        keeper.end()
        self._is_finishing = True
        path = f"chunks/{assignment.chunk}/{call}"
        self._connection.post(path, {"attempt": assignment.attempt, **fields}, self._farewell_check())

    def _farewell_check(self) -> Callable[[], None]:
        """Return a check that raises ShuttingDown some seconds after the agent was asked to stop."""
        deadline: float | None = None

        def check() -> None:
            nonlocal deadline
            if self.stop.is_set():
                now = time.monotonic()
                deadline = deadline or now + FAREWELL_SECONDS
                if now > deadline:
                    log.warning("%s did not answer the last message; the lease will expire", self.site.address)
                    raise ShuttingDown

        return check

    def _check_stopped(self) -> None:
        if self.stop.is_set():
            raise ShuttingDown

    def _current_keeper(self) -> LeaseKeeper:
        if self._keeper is None:
            raise LeaseLost
        return self._keeper

    def close_chunk(self) -> None:
        """Stop renewing the lease of the last chunk and serving its source."""
        if self._keeper is not None:
            self._keeper.end()
        if self._source is not None:
            self.sources.withdraw(self._source)
        self._keeper = self._source = None

    def close(self) -> None:
        """Release what the queue holds; its thread ends."""
        self.close_chunk()
        self._connection.close()

    def interrupt(self) -> None:
        """End the request under way because the agent is being stopped, unless it is the last one about a chunk."""
        if not self._is_finishing:
            self._connection.interrupt()
