"""The notices of PostgreSQL that pages have changed, which a thread of each process listens to.

Triggers send them (`pages_changed`, in a migration). The thread asks the database once a second whether the connection
still works, and for the next moment at which pages change without a notice. Kept pages are used only while it does.

    listening ──notice or moment──▶ a new generation: what was kept before is not used
    listening ──connection lost───▶ off ──listens again──▶ a new generation
"""

import logging
import secrets
import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import psycopg
from django.conf import settings
from django.db import Error, connection
from django.utils.module_loading import import_string

from vlog import kept
from vlog.serving.parts import NEXT_MOMENT

CHANNEL = "pages"
ASK_SECONDS = 1.0
TRUST_SECONDS = 3.0  # after the database was asked; a thread that gets no turn for so long is as good as none
# After a change: values of `vlog.kept` may be a second old, and what is made of them must not be kept.
SETTLING_SECONDS = kept.ASK_SECONDS + 0.5
LONGEST_SECONDS = 3600.0  # of a generation
PROBE_SECONDS = 5.0
RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class State:
    """What one process knows. Moments are of its own clock; a new state replaces the old one at once, without a lock.

    settled: from when on pages may be kept. ends: when pages change without a notice.
    """

    generation: int = 0
    settled: float = 0.0
    ends: float = 0.0
    trusted: float = 0.0


class Notices:
    """The generation of pages that are up to date."""

    def __init__(self) -> None:
        self.state = State()
        self.received: set[str] = set()  # channels, since the last look

    def generation(self, now: float) -> int | None:
        """Return the generation whose pages may be used; None while the thread does not listen."""
        state = self.state
        return state.generation if now < state.trusted and now < state.ends else None

    def may_keep(self, generation: int, begun: float) -> bool:
        """Return whether a page may be kept. generation, begun: when its making began."""
        return self.generation(time.monotonic()) == generation and begun >= self.state.settled

    def listen(self, goes_on: Callable[[], bool]) -> None:
        """Listen until the process ends. While it fails, kept pages are off."""
        while goes_on():
            try:
                self._listen(goes_on)
            except (Error, psycopg.Error, OSError) as error:
                log.warning("kept pages are off, because notices of changes do not arrive: %s", _first_line(error))
            self.lose()
            connection.close()
            time.sleep(RETRY_SECONDS)

    def _listen(self, goes_on: Callable[[], bool]) -> None:
        with connection.cursor() as cursor:
            raw: Any = connection.connection
            raw.add_notify_handler(lambda notice: self.received.add(notice.channel))
            cursor.execute(f"LISTEN {CHANNEL}")
            self._probe(cursor)
            self._begin()
            while goes_on() and connection.connection is raw:
                self._ask()
                _wait(raw.fileno(), min(ASK_SECONDS, self.state.ends - time.monotonic()))

    def _ask(self) -> None:
        """Ask for the next moment, and again after a change, which may be one of moments. Notices come with answers."""
        while True:
            before = time.monotonic()
            seconds = min(import_string(NEXT_MOMENT)(), LONGEST_SECONDS)
            if CHANNEL not in self.received and before < self.state.ends:
                break
            self._begin()
            self.state = replace(self.state, ends=float("inf"))
        self.state = replace(self.state, ends=before + seconds, trusted=before + TRUST_SECONDS)

    def _begin(self) -> None:
        """Begin a generation."""
        self.received.clear()
        kept.expire_all()
        self.state = State(self.state.generation + 1, settled=time.monotonic() + SETTLING_SECONDS)

    def lose(self) -> None:
        """Begin a generation whose pages are not used yet."""
        self._begin()

    def _probe(self, cursor: Any) -> None:
        """Raise OSError where notices do not arrive, such as behind a pool of connections."""
        channel = f"probe_{secrets.token_hex(8)}"
        cursor.execute(f"LISTEN {channel}")
        other = connection.copy()
        try:
            with other.cursor() as sender:
                sender.execute("SELECT pg_notify(%s, '')", [channel])
        finally:
            other.close()
        deadline = time.monotonic() + PROBE_SECONDS
        while channel not in self.received:
            if time.monotonic() > deadline:
                raise OSError("is a pool of connections between VLog and PostgreSQL?")
            _wait(cursor.connection.fileno(), 0.1)
            cursor.execute("SELECT 1")
        cursor.execute(f"UNLISTEN {channel}")


def _wait(descriptor: int, seconds: float) -> None:
    """Wait until bytes arrive, but no longer."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.poll(max(0.0, seconds) * 1000)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


notices = Notices()


def start(goes_on: Callable[[], bool]) -> None:
    """Start the thread, if pages are kept."""
    if settings.KEEP_PAGES_BYTES:
        threading.Thread(target=partial(notices.listen, goes_on), name="notices of pages", daemon=True).start()
