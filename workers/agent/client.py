"""The queue of work over HTTP, for workers far from the site's storage: the calls of docs/workers-api.md. No Django."""

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
from transcoding.engine.speech.transcribe import Transcript
from workers.agent.connection import Connection, Disabled, Garbled, Refused, Rejected, Site
from workers.agent.source import RemoteSource

log = logging.getLogger(__name__)

REPORTING = 3  # seconds between two reports; so soon a cancelled encoder stops
EACH_LEASE = 4  # reports at least
PARTING = 5  # seconds to give back what the worker has, once it is asked to end
SENT = 3  # times at most, where what arrives is not what was sent
LONGEST_ERROR = 8000  # characters; the end of ffmpeg's log says most
ORDERS: dict[str, type[Exception]] = {"complete": Yield, "give_back": ShuttingDown}


class Hold(threading.Thread):
    """Keeps one piece's lease, on a connection of its own: a segment may be under way for longer than the lease.

    It ends when the piece is over; why is in `verdict`, which is raised by check.
    """

    def __init__(
        self, site: Site, assignment: Assignment, lease: float, stop: threading.Event, cut: Callable[[], None]
    ):
        super().__init__(daemon=True, name=f"lease of {assignment.chunk}")
        self.path, self.attempt, self.stop, self.cut = f"chunks/{assignment.chunk}/", assignment.attempt, stop, cut
        self.percent: int | None = None
        self.verdict: Exception | None = None
        self._every = min(REPORTING, lease / EACH_LEASE)
        self._connection, self._ended = Connection(site), threading.Event()

    def check(self) -> None:
        """Raises what ended the piece, or ShuttingDown where the worker is to end."""
        if self.verdict is not None:
            raise self.verdict
        if self.stop.is_set():
            raise ShuttingDown

    def check_source(self) -> None:
        """As check, but for orders: the encoder follows those, and must not find its source broken meanwhile."""
        if self.verdict is not None and not isinstance(self.verdict, Yield | ShuttingDown):
            raise self.verdict

    def judge(self, verdict: Exception) -> None:
        """The piece is over: nothing more is delivered of it, also not what is under way."""
        if not self._ended.is_set():
            self.verdict = self.verdict or verdict
            self.cut()

    def end(self) -> None:
        """Renew it no more."""
        self._ended.set()
        self._connection.cut()

    def run(self) -> None:
        while not self._ended.wait(self._every) and self.verdict is None:
            told = {"attempt": self.attempt, "percent": self.percent}
            try:
                answer = self._connection.tell(f"{self.path}report", told, self._go_on)
            except (LeaseLost, Refused, Disabled, Rejected) as error:
                self.judge(error)
            except ShuttingDown:
                break
            else:
                if order := ORDERS.get(answer.get("order", "")):
                    self.judge(order())
        self._connection.close()

    def _go_on(self) -> None:
        if self._ended.is_set():
            raise ShuttingDown


class RemoteQueue:
    """Claims pieces for one worker and sends what it makes of them; used by one thread.

    Besides what every queue raises, each call may raise Disabled and Refused.
    """

    def __init__(self, site: Site, sources: SourceServer, stop: threading.Event) -> None:
        self.site, self.sources, self.stop = site, sources, stop
        self.again_in, self.held_back = 0.0, ""
        self._connection = Connection(site)
        self._hold: Hold | None = None
        self._source: RemoteSource | None = None
        self._language, self._parting = "", False

    def claim(self, kinds: Collection[str]) -> Assignment | None:
        """Raises ShuttingDown where the worker is to end before the site has answered."""
        self.let_go()
        self._parting = False
        asked = {"kinds": list(kinds), "claim": str(uuid4())}
        answer = self._connection.tell("claim", asked, self._unless_stopped)
        try:
            self.again_in, self.held_back = float(answer["again_in"]), answer.get("held_back") or ""
            return self._take(answer["assignment"]) if answer["assignment"] else None
        except (KeyError, TypeError, ValueError) as error:
            raise Refused(
                f"{self.site.address} gives work that this agent does not understand ({error!r}): get a new one there."
            ) from error

    def _take(self, given: Mapping[str, Any]) -> Assignment:
        plan = read_plan(given["plan"])
        facts: dict[str, Any] = {name: int(given[name]) for name in ("chunk", "attempt", "first", "last", "tier")}
        facts |= {"kind": given["kind"], "title": str(given["title"]), "urgent": bool(given["urgent"])}
        assignment = Assignment(**facts, source="", plan=plan)
        if not 0 <= assignment.first <= assignment.last < len(assignment.timeline):
            raise ValueError("a piece outside of its video")
        self._language = given.get("language") or ""
        self._hold = Hold(self.site, assignment, float(given["lease"]), self.stop, self._connection.cut)
        self._source = RemoteSource(
            Connection(self.site),
            f"chunks/{assignment.chunk}/source?attempt={assignment.attempt}",
            int(given["source"]["size"]),
            str(given["source"]["etag"]),
            hashlib.sha256(json.dumps(given["plan"]).encode()).hexdigest(),
            self._hold.check_source,
            self._hold.judge,
        )
        self._hold.start()
        return Assignment(**{**vars(assignment), "source": self.sources.serve(self._source)})

    def language_of(self, assignment: Assignment) -> str:
        return self._language

    def deliver(self, assignment: Assignment, rendition: str, index: int, data: bytes) -> None:
        name = "init" if index == INIT else str(index)
        digest = b64encode(hashlib.sha256(data).digest()).decode()
        headers = {"Content-Type": "application/octet-stream", "Content-Digest": f"sha-256=:{digest}:"}
        path = f"chunks/{assignment.chunk}/segments/{rendition}/{name}?attempt={assignment.attempt}"
        hold = self._held()
        for again in reversed(range(SENT)):
            try:
                answer = self._connection.call("PUT", path, data, headers, hold.check)
                break
            except Garbled:
                if not again:
                    raise
        hold.check()
        if order := ORDERS.get(answer.get("order", "")):
            raise order

    def report(self, assignment: Assignment, percent: int | None = None) -> None:
        """The lease is renewed anyway: take note of the percentage, and hear what became of the piece."""
        hold = self._held()
        hold.percent = hold.percent if percent is None else percent
        hold.check()

    def warn(self, assignment: Assignment, sentence: str) -> None:
        told = {"attempt": assignment.attempt, "sentence": sentence}
        self._connection.tell(f"chunks/{assignment.chunk}/warn", told, self._held().check)

    def complete(self, assignment: Assignment) -> None:
        try:
            self._finish(assignment, "complete")
        except Rejected as error:  # something is missing after all
            self.fail(assignment, str(error))

    def publish(self, assignment: Assignment, transcript: Transcript) -> None:
        captions = [asdict(caption) for caption in transcript.captions]
        self._finish(assignment, "transcript", language=transcript.language, captions=captions)

    def fail(self, assignment: Assignment, error: str, *, final: bool = False) -> None:
        if isinstance(self._held().verdict, EncodeError):
            error = str(self._held().verdict)  # that is why ffmpeg failed, too
        error = error.replace("\0", "")[-LONGEST_ERROR:].strip() or "it said nothing"
        self._finish(assignment, "fail", error=error, final=final)

    def release(self, assignment: Assignment, reason: str = "") -> None:
        self._finish(assignment, "give_back", reason=reason)

    def _finish(self, assignment: Assignment, call: str, **told: Any) -> None:
        """The last word about a piece; the lease runs on by itself meanwhile."""
        hold = self._held()
        if isinstance(hold.verdict, LeaseLost | Disabled | Refused):
            raise hold.verdict
        hold.end()
        self._parting = True
        path = f"chunks/{assignment.chunk}/{call}"
        self._connection.tell(path, {"attempt": assignment.attempt, **told}, self._until_parted())

    def _until_parted(self) -> Callable[[], None]:
        """A check that leaves some seconds once the worker is to end."""
        asked: list[float] = []

        def check() -> None:
            if self.stop.is_set():
                asked.append(time.monotonic())
                if asked[-1] - asked[0] > PARTING:
                    log.warning("%s could not be told of the end; the lease will run out", self.site.address)
                    raise ShuttingDown

        return check

    def _unless_stopped(self) -> None:
        if self.stop.is_set():
            raise ShuttingDown

    def _held(self) -> Hold:
        if self._hold is None:
            raise LeaseLost
        return self._hold

    def let_go(self) -> None:
        """Nothing more is done for the last piece."""
        if self._hold is not None:
            self._hold.end()
        if self._source is not None:
            self.sources.withdraw(self._source)
        self._hold = self._source = None

    def cut(self) -> None:
        """End what is under way, because the worker is to end; but not its last word."""
        if not self._parting:
            self._connection.cut()
