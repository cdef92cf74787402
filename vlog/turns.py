"""Whose turn it is to look: that of the process that looked last, or of another one after a while without a look."""

import fcntl
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from django.core.cache import cache
from django.db import DatabaseError, connection, transaction

Clock = Callable[[], float]  # returns seconds since 1970

INTERVAL = 10  # seconds between two looks
# Without a look: longer than an interval and the checks of a look, so short that another look fits into half a minute.
TAKEOVER_SECONDS = 17
LOCK = 0x616C7274  # the number of the advisory lock under which a turn is taken


class Turn:
    """Decides which process looks. The time of the file is that of the last look."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path, self.clock = path, clock
        self.name = secrets.token_hex(8)
        self.mine = 0.0  # the time of the file after the last look of this process

    def take(self) -> bool:
        """Return whether this process has to look now; then no other one has to."""
        try:
            return self._is_due() and self._claim()
        except OSError:  # the data folder cannot be used, which is a reason to look
            return self._claim_in_redis()

    def renew(self) -> None:
        """Keep the turn while a look takes long. Raises OSError."""
        now = self.clock()
        os.utime(self.path, (now, now))
        self.mine = self.path.stat().st_mtime

    def is_mine(self) -> bool:
        """Return whether no other process has looked since this one took its turn."""
        try:
            return self.path.stat().st_mtime == self.mine
        except OSError:  # the data folder cannot be used
            return True

    def _is_due(self) -> bool:
        try:
            with self.path.open() as file:  # opened, because a network share answers `stat` from memory
                last = os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return True
        return not 0 <= self.clock() - last < (INTERVAL if last == self.mine else TAKEOVER_SECONDS)

    def _claim(self) -> bool:
        """Take the turn, under a lock in PostgreSQL, or one in the data folder while PostgreSQL is away."""
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
                return cursor.fetchone()[0] and self._take_if_due()
        except DatabaseError:
            return self._claim_in_folder()

    def _claim_in_folder(self) -> bool:
        with self.path.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return self._take_if_due()

    def _take_if_due(self) -> bool:
        if not self._is_due():
            return False
        self.path.touch(mode=0o600)
        self.renew()
        return True

    def _claim_in_redis(self) -> bool:
        now = self.clock()
        if 0 <= now - self.mine < INTERVAL:
            return False
        if not cache.add("alerts", self.name, TAKEOVER_SECONDS) and cache.get("alerts") != self.name:
            return False
        cache.set("alerts", self.name, TAKEOVER_SECONDS)
        self.mine = now
        return True
