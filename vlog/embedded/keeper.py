"""The process that owns the embedded services: starts, restarts and, when nobody is left, stops them."""

import fcntl
import logging
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Never

from vlog.embedded import places, start_keeper
from vlog.embedded.places import ServiceError
from vlog.embedded.services import Postgres, Redis, Service

POLL_SECONDS = 0.25
# Between two commands of one script the services need not stop and start.
LINGER_SECONDS = 3.0
# A predecessor's server, told by the kernel to stop, may still write its last checkpoint.
PREDECESSOR_SECONDS = 45
FIRST_START_ATTEMPTS = 5
RETRY_SECONDS = 2
LOG_BYTES = 5_000_000
LOG_KEPT_BYTES = 1_000_000

logger = logging.getLogger("vlog.keeper")


class Kept:
    """One service under its keeper.

    stopped → starting → up; a process that ends at any time makes it stopped again.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.process: subprocess.Popen[bytes] | None = None
        self.up: int | None = None
        self.was_up = False
        self.failures = 0
        self.not_before = 0.0

    def tend(self) -> None:
        if self.process is None:
            if time.monotonic() >= self.not_before:
                self._start()
        elif self.process.poll() is not None:
            self._note_end(self.process.returncode)
        elif self.up is None and self.service.answers():
            # Somebody who looks at this moment is in the way for no longer than that: the next round succeeds.
            self.up = places.try_lock(places.up_lock(self.service.data_dir, self.service.name), fcntl.LOCK_EX)
            if self.up is not None:
                self.was_up = True
                self.failures = 0
                logger.info("%s answers", self.service.name)

    def retract(self) -> None:
        """Say no longer that the service answers."""
        if self.up is not None:
            os.close(self.up)
            self.up = None

    def _start(self) -> None:
        lock = self._sole_lock()
        try:
            self.service.prepare(lock)
            self.process = self.service.start(lock)
        finally:
            os.close(lock)

    def _sole_lock(self) -> int:
        path = places.service_lock(self.service.data_dir, self.service.name)
        try:
            return places.wait_for_lock(path, fcntl.LOCK_EX, PREDECESSOR_SECONDS)
        except ServiceError:
            # Its keeper died in the moment before it was told whose death to watch.
            for pid in places.holders(path):
                logger.warning("killing process %d, left over from an earlier %s", pid, self.service.name)
                os.kill(pid, signal.SIGKILL)
            return places.wait_for_lock(path, fcntl.LOCK_EX, PREDECESSOR_SECONDS)

    def _note_end(self, code: int) -> None:
        logger.warning("%s ended with exit code %d", self.service.name, code)
        self.process = None
        self.retract()
        self.failures += 1
        self.not_before = time.monotonic() + min(0.5 * self.failures, 10)
        if not self.was_up and self.failures >= FIRST_START_ATTEMPTS:
            raise ServiceError(f"{self.service.name} did not start in {self.failures} attempts")

    def stop(self) -> None:
        if self.process is not None:
            self.service.stop(self.process)
            logger.info("%s stopped", self.service.name)


class Keeper:
    def __init__(self, data_dir: Path, lock: int) -> None:
        self.data_dir = data_dir
        self.lock = lock
        self.kept = [Kept(Postgres(data_dir)), Kept(Redis(data_dir))]
        self.idle_since: float | None = None

    def run(self) -> None:
        """Return when nobody uses the services any more and both are stopped."""
        places.prepare_sockets(self.data_dir)
        try:
            while (users := self._lock_when_idle()) is None and not self._is_removed():
                self._tend()
                time.sleep(0.03 if any(kept.process and kept.up is None for kept in self.kept) else POLL_SECONDS)
        finally:
            self._stop()
        # This one first: who joins next must find no keeper.
        os.close(self.lock)
        if users is not None:
            os.close(users)

    def _tend(self) -> None:
        for kept in self.kept:
            if places.is_wanted(self.data_dir, kept.service.name):
                kept.tend()
        _bound_log(places.log_file(self.data_dir))

    def _lock_when_idle(self) -> int | None:
        """The exclusive lock, once nobody has used the services for a while."""
        users = places.try_lock(places.users_lock(self.data_dir), fcntl.LOCK_EX)
        if users is None:
            self.idle_since = None
            return None
        self.idle_since = self.idle_since or time.monotonic()
        if places.is_hurried(self.data_dir) or time.monotonic() - self.idle_since > LINGER_SECONDS:
            return users
        os.close(users)
        return None

    def _is_removed(self) -> bool:
        """Whether the data folder went away, or was made anew and has another keeper."""
        try:
            return not os.path.samestat(os.fstat(self.lock), places.keeper_lock(self.data_dir).stat())
        except FileNotFoundError:
            return True

    def _stop(self) -> None:
        for kept in self.kept:
            kept.retract()
        for kept in self.kept:
            kept.stop()
        if not self._is_removed():
            places.forget_wishes(self.data_dir)
            places.remove_sockets(self.data_dir)


def keep(data_dir: Path) -> int:
    """Be the keeper of this installation, or return at once where there is one. The exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Not SIG_IGN, which the servers would inherit. Nobody may stop what others use.
        signal.signal(number, lambda *_: None)
    try:
        # Longer than anybody's look at the lock takes.
        lock = places.wait_for_lock(places.keeper_lock(data_dir), fcntl.LOCK_EX, seconds=0.5)
    except ServiceError:
        return 0
    try:
        Keeper(data_dir, lock).run()
    except (ServiceError, OSError) as error:
        logger.error("%s", error)
        return 1
    return 0


def stand_by(data_dir: Path) -> Never:
    """Start a new keeper whenever the present one dies. The caller has joined, so none ever ends in peace."""
    while True:
        # Shared, like everybody's look at this lock, and let go before the new keeper wants it.
        with places.keeper_lock(data_dir).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
        logger.warning("the keeper of the embedded services died: starting another")
        if start_keeper(data_dir).wait():
            time.sleep(RETRY_SECONDS)


def _bound_log(path: Path) -> None:
    # Servers hold it open in append mode, so it is emptied, never renamed.
    if path.stat().st_size < LOG_BYTES:
        return
    with path.open("rb") as source, path.with_suffix(".log.1").open("wb") as target:
        source.seek(-LOG_KEPT_BYTES, os.SEEK_END)
        shutil.copyfileobj(source, target)
    os.truncate(path, 0)
