"""The process that owns the embedded services: it starts, restarts and finally stops them."""

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
# So that the services keep running between two commands of a script.
LINGER_SECONDS = 3.0
# The server of an earlier keeper, which the kernel has signalled, may still write its last checkpoint.
PREDECESSOR_SECONDS = 45
FIRST_START_ATTEMPTS = 5
RETRY_SECONDS = 2
LOG_BYTES = 5_000_000
LOG_KEPT_BYTES = 1_000_000

logger = logging.getLogger("vlog.keeper")


class Kept:
    """A service and its process.

    stopped → starting → up; it is stopped again whenever the process ends.
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
            # A process that checks the lock at this moment holds it briefly: the next round succeeds.
            self.up = places.try_lock(places.up_lock(self.service.data_dir, self.service.name), fcntl.LOCK_EX)
            if self.up is not None:
                self.was_up = True
                self.failures = 0
                logger.info("%s answers", self.service.name)

    def retract(self) -> None:
        """Release the lock that says that the service answers."""
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
            # The earlier keeper was killed before the process had set its parent-death signal.
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
        """Return when no process uses the services and both have stopped."""
        places.prepare_sockets(self.data_dir)
        try:
            while (users := self._lock_when_idle()) is None and not self._is_removed():
                self._tend()
                time.sleep(0.03 if any(kept.process and kept.up is None for kept in self.kept) else POLL_SECONDS)
        finally:
            self._stop()
        # The keeper's lock first: a process that joins next must find no keeper.
        os.close(self.lock)
        if users is not None:
            os.close(users)

    def _tend(self) -> None:
        for kept in self.kept:
            if places.is_wanted(self.data_dir, kept.service.name):
                kept.tend()
        _bound_log(places.log_file(self.data_dir))

    def _lock_when_idle(self) -> int | None:
        """Return the exclusive lock if the services have been unused for a while."""
        users = places.try_lock(places.users_lock(self.data_dir), fcntl.LOCK_EX)
        if users is None:
            self.idle_since = None
            return None
        self.idle_since = self.idle_since or time.monotonic()
        if places.is_linger_skipped(self.data_dir) or time.monotonic() - self.idle_since > LINGER_SECONDS:
            return users
        os.close(users)
        return None

    def _is_removed(self) -> bool:
        """Return whether the data folder was deleted, or created again and has another keeper."""
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
            places.clear_requests(self.data_dir)
            places.remove_sockets(self.data_dir)


def keep(data_dir: Path) -> int:
    """Run as the keeper of this installation, or return at once if there is one. Returns the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Not SIG_IGN, which the servers would inherit. A signal must not stop services that other processes use.
        signal.signal(number, lambda *_: None)
    try:
        # Longer than another process holds the lock to check it.
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
    """Start a new keeper whenever the present one ends. While the caller holds its lock, none ends normally."""
    while True:
        # A shared lock, as in every check of this lock. It is released before the new keeper needs it.
        with places.keeper_lock(data_dir).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
        logger.warning("the keeper of the embedded services has ended: starting another")
        if start_keeper(data_dir).wait():
            time.sleep(RETRY_SECONDS)


def _bound_log(path: Path) -> None:
    # Servers keep the file open in append mode, so it is truncated, not renamed.
    if path.stat().st_size < LOG_BYTES:
        return
    with path.open("rb") as source, path.with_suffix(".log.1").open("wb") as target:
        source.seek(-LOG_KEPT_BYTES, os.SEEK_END)
        shutil.copyfileobj(source, target)
    os.truncate(path, 0)
