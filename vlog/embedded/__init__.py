"""PostgreSQL and Redis for a machine that has neither: both run in the data folder and listen on Unix sockets.

Each process of an installation calls join() and holds a shared lock until it ends. One process, the keeper
(keeper.py), owns both services and stops them when no process holds that lock. Processes detect the end of others
by locks and parent-death signals, which also work after kill -9.
"""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

from vlog import environment
from vlog.embedded import places
from vlog.embedded.places import ServiceError

__all__ = ["ServiceError", "database_url", "join", "leave", "redis_url", "required"]

START_SECONDS = 60
STOP_SECONDS = 60
_held: dict[Path, int] = {}
_keepers: dict[Path, subprocess.Popen[bytes]] = {}  # kept, because Popen warns if it is deleted while its process runs


def database_url(data_dir: Path) -> str:
    # The port is part of the name of the socket. Without it, libpq would use PGPORT.
    return f"postgresql://vlog@/vlog?host={quote(str(places.socket_dir(data_dir)))}&port=5432"


def redis_url(data_dir: Path) -> str:
    """Return the URL in the form of Celery. environment.redis_client_url() converts it to that of redis-py."""
    return f"redis+socket://{places.redis_socket(data_dir)}?virtual_host=0"


def required() -> list[str]:
    """Return the services that no VLOG_*_URL replaces."""
    variables = {"postgres": "VLOG_DATABASE_URL", "redis": "VLOG_REDIS_URL"}
    return [name for name, variable in variables.items() if not os.environ.get(variable)]


def join() -> None:
    """Return when the services answer. They run at least until this process ends. Raises ServiceError, SettingError."""
    environment.read_secret_files()
    data_dir, services = environment.data_dir(), required()
    if not services or data_dir in _held:
        return
    try:
        places.prepare(data_dir)
        lock = places.wait_for_lock(places.users_lock(data_dir), fcntl.LOCK_SH, STOP_SECONDS)
    except OSError as error:
        raise ServiceError(f"VLog cannot use its data folder {data_dir}: {error.strerror}") from error
    try:
        places.prepare_sockets(data_dir)
        places.want(data_dir, services)
        _await_services(data_dir, services)
    except ServiceError:
        os.close(lock)
        raise
    _held[data_dir] = lock


def leave() -> None:
    """Release the lock, and return when the services have stopped or if another process uses them."""
    while _held:
        data_dir, lock = _held.popitem()
        os.close(lock)
        places.skip_linger(data_dir)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and _is_ending(data_dir):
            time.sleep(0.05)
        keeper = _keepers.pop(data_dir, None)
        if keeper is not None and not places.has_keeper(data_dir):
            keeper.wait(STOP_SECONDS)


def _is_ending(data_dir: Path) -> bool:
    users = places.users_lock(data_dir)
    has_others = places.refuses(users, fcntl.LOCK_EX) and not places.refuses(users, fcntl.LOCK_SH)
    return places.has_keeper(data_dir) and not has_others


def start_keeper(data_dir: Path) -> subprocess.Popen[bytes]:
    """Start a keeper that outlives this process and its terminal. It ends at once if there is another one."""
    with places.log_file(data_dir).open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "vlog.embedded", str(data_dir)],
            cwd=environment.BASE_DIR,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _await_services(data_dir: Path, services: list[str]) -> None:
    keeper = None
    deadline = time.monotonic() + START_SECONDS
    while not places.are_up(data_dir, services):
        ended = keeper.poll() if keeper else None
        # A negative exit code means that it was killed: another one is started.
        if time.monotonic() > deadline or (ended or 0) > 0:
            raise ServiceError(places.failure(data_dir, services))
        if not places.has_keeper(data_dir) and (keeper is None or ended is not None):
            keeper = start_keeper(data_dir)
            _keepers[data_dir] = keeper
        time.sleep(0.02)
