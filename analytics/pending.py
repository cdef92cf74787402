"""Reports that wait in memory until they are written: all of a second by one statement, in a thread of each process.

A player never waits for the database. While PostgreSQL is away the reports wait, and are written with the times at
which they arrived. A process that is stopped writes what waits; one that is killed loses a second of reports.
"""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from django.db import DatabaseError, connection

from analytics.beacons import Report
from analytics.known import TOLERANCE
from vlog import counters, outages

WRITE_SECONDS = 1.0  # between two writes, so that a killed process loses no more
MOST = 20_000  # reports that wait in one process; some megabytes
BATCH = 5_000  # reports of one statement, so that their rows are locked for a short time
MAX_TURNS = 10  # reports of one session in one write, each in a statement of its own; a player sends one or two
MAX_SPEED = 2.0  # the highest playback speed that the player offers
COMPLETE = 0.9  # of the video
DROPPED = "dropped reports"  # the counter

# The function is defined in a migration.
RECORD = "SELECT record_playbacks(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A report, and when it arrived, by the clock of this process."""

    report: Report
    at: float

    def and_later(self, later: "Arrived") -> "Arrived":
        """Return both as one report, with the number, the quality and the moment of the later one."""
        played, furthest = self.report.played + later.report.played, max(self.report.furthest, later.report.furthest)
        return Arrived(replace(later.report, played=played, furthest=furthest), later.at)


class Pending:
    """The reports of one process. Without a thread that writes them, each one is written at once."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.reports: list[Arrived] = []
        self.lock = threading.Lock()  # of the list
        self.writing = threading.Lock()
        self.has_writer = False
        self.is_stuck = False  # the last write failed
        self.refused = 0  # because the list was full, and not counted yet
        self.ended = threading.Event()

    def add(self, report: Report) -> bool:
        """Keep a report until it is written; False where too many wait."""
        with self.lock:
            if len(self.reports) >= self.most:
                self.refused += 1
                return False
            self.reports.append(Arrived(report, time.monotonic()))
        if not self.has_writer:
            self.write()
        return True

    def write(self) -> None:
        """Write what waits. Raises DatabaseError, and the reports wait on; each has a number, so none counts twice."""
        with self.writing:
            with self.lock:
                reports = list(self.reports)
            try:
                self._write(reports)
                self.is_stuck = False
            except DatabaseError as error:
                self.is_stuck = True
                if not outages.is_temporary(error):  # a mistake of ours, which would fail for ever
                    self._forget(len(reports))
                    counters.add(DROPPED, len(reports))
                raise
            self._forget(len(reports))

    def _write(self, reports: list[Arrived]) -> None:
        for batch in batches(reports):
            with connection.cursor() as cursor:
                cursor.execute(RECORD, [*_columns(batch), MAX_SPEED, TOLERANCE, COMPLETE])

    def _forget(self, number: int) -> None:
        with self.lock:
            del self.reports[:number]
            refused, self.refused = self.refused, 0
        counters.add(DROPPED, refused)

    def run(self) -> None:
        """Write each second until `finish`: a process that is stopped answers the requests that have arrived."""
        while not self.ended.wait(WRITE_SECONDS):
            self._try()

    def _try(self) -> None:
        try:
            if self.reports:
                self.write()
        except DatabaseError as error:
            if not outages.is_temporary(error):
                log.exception("playback reports were not written, and are lost")
        finally:
            connection.close_if_unusable_or_obsolete()

    def finish(self) -> None:
        """Write what waits, because the process ends."""
        self.ended.set()
        self._try()
        if lost := len(self.reports):
            log.warning("%d playback reports are lost: PostgreSQL was away when the web server stopped", lost)
            counters.add(DROPPED, lost)


def batches(reports: list[Arrived]) -> Iterator[list[Arrived]]:
    """Yield the reports in batches in which each session has one, the first ones first."""
    turns: list[dict[str, Arrived]] = []
    numbers: defaultdict[str, int] = defaultdict(int)
    for arrived in reports:
        token = arrived.report.token
        turn = min(numbers[token], MAX_TURNS - 1)
        numbers[token] += 1
        if turn == len(turns):
            turns.append({})
        before = turns[turn].get(token)
        turns[turn][token] = before.and_later(arrived) if before else arrived
    for sessions in turns:
        of_turn = list(sessions.values())
        for begin in range(0, len(of_turn), BATCH):
            yield of_turn[begin : begin + BATCH]


def _columns(batch: list[Arrived]) -> Iterable[list[object]]:
    now = time.monotonic()
    rows = (
        (one.token, one.number, one.played, one.furthest, one.quality, one.ends, now - arrived.at)
        for arrived in batch
        for one in (arrived.report,)
    )
    return map(list, zip(*rows, strict=True))


pending = Pending()


def start(_goes_on: Callable[[], bool]) -> None:
    """Start the thread that writes; `finish` ends it."""
    pending.has_writer = True
    threading.Thread(target=pending.run, name="playback reports", daemon=True).start()


def finish() -> None:
    """Write what waits, after the last request of the process."""
    pending.finish()
