"""The paths of the embedded services, and the locks and marker files through which processes coordinate."""

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterable
from pathlib import Path

# Linux allows 107 bytes. The rest is for the lock files that servers create beside their sockets.
SOCKET_PATH_BYTES = 100
LOG_TAIL_LINES = 12


class ServiceError(Exception):
    """An embedded service does not run; the message says why and what to do."""


def run_dir(data_dir: Path) -> Path:
    return data_dir / "run"


def socket_dir(data_dir: Path) -> Path:
    """Return a folder whose path is short and simple enough for sockets and for URLs with them."""
    inside = run_dir(data_dir)
    length = len(os.fsencode(inside / ".s.PGSQL.5432"))
    if length <= SOCKET_PATH_BYTES and re.fullmatch(r"[\w./-]+", str(inside), re.ASCII):
        return inside
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    # Not tempfile.gettempdir(), which depends on TMPDIR. prepare_sockets() checks the owner of the folder.
    return Path(f"/tmp/vlog-{os.geteuid()}-{digest}")  # noqa: S108


def redis_socket(data_dir: Path) -> Path:
    return socket_dir(data_dir) / "redis.sock"


def users_lock(data_dir: Path) -> Path:
    """The lock that processes hold shared while they use the services, and a keeper exclusively while it stops them."""
    return run_dir(data_dir) / "users.lock"


def keeper_lock(data_dir: Path) -> Path:
    """The lock that the keeper holds while it runs."""
    return run_dir(data_dir) / "keeper.lock"


def up_lock(data_dir: Path, name: str) -> Path:
    """The lock that the keeper holds while this service answers. A file would stay after the keeper was killed."""
    return run_dir(data_dir) / f"{name}.up"


def service_lock(data_dir: Path, name: str) -> Path:
    """The lock that all processes of a service hold, so that the next server starts when the last one has ended."""
    return run_dir(data_dir) / f"{name}.lock"


def log_file(data_dir: Path) -> Path:
    return data_dir / "keeper.log"


def prepare(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    run_dir(data_dir).mkdir(mode=0o700, exist_ok=True)


def prepare_sockets(data_dir: Path) -> None:
    """Create the folder. The caller must hold the users' lock: the keeper removes a folder outside the data folder."""
    sockets = socket_dir(data_dir)
    sockets.mkdir(mode=0o700, exist_ok=True)
    found = sockets.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ServiceError(f"{sockets} belongs to another user. Remove it, or choose another VLOG_DATA_DIR")
    sockets.chmod(0o700)


def remove_sockets(data_dir: Path) -> None:
    if socket_dir(data_dir) != run_dir(data_dir):
        with contextlib.suppress(OSError):
            socket_dir(data_dir).rmdir()


def try_lock(path: Path, kind: int) -> int | None:
    """Return a descriptor that holds the lock until it is closed, or None if another process holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def wait_for_lock(path: Path, kind: int, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while (descriptor := try_lock(path, kind)) is None:
        if time.monotonic() > deadline:
            raise ServiceError(f"{path} stays locked by the processes {holders(path)}")
        time.sleep(0.05)
    return descriptor


def refuses(path: Path, kind: int) -> bool:
    """Return whether a lock of another process prevents one of this kind at the moment."""
    descriptor = try_lock(path, kind)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is None


def has_keeper(data_dir: Path) -> bool:
    # With a shared lock, two processes that check at the same time do not take each other for the keeper.
    return refuses(keeper_lock(data_dir), fcntl.LOCK_SH)


def holders(path: Path) -> list[int]:
    """Return the processes that have this file open, as far as this user may see them."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if _has_open(pid, path)]


def _has_open(pid: int, path: Path) -> bool:
    try:
        return any(descriptor.readlink() == path for descriptor in Path(f"/proc/{pid}/fd").iterdir())
    except (FileNotFoundError, PermissionError, ProcessLookupError):
        return False


def want(data_dir: Path, services: Iterable[str]) -> None:
    for name in services:
        (run_dir(data_dir) / f"{name}.wanted").touch(mode=0o600)


def is_wanted(data_dir: Path, name: str) -> bool:
    return (run_dir(data_dir) / f"{name}.wanted").exists()


def skip_linger(data_dir: Path) -> None:
    """Let the keeper stop the services at once when no process uses them."""
    (run_dir(data_dir) / "skip-linger").touch(mode=0o600)


def is_linger_skipped(data_dir: Path) -> bool:
    return (run_dir(data_dir) / "skip-linger").exists()


def clear_requests(data_dir: Path) -> None:
    for path in (*run_dir(data_dir).glob("*.wanted"), run_dir(data_dir) / "skip-linger"):
        path.unlink(missing_ok=True)


def are_up(data_dir: Path, services: Iterable[str]) -> bool:
    return all(refuses(up_lock(data_dir, name), fcntl.LOCK_SH) for name in services)


def failure(data_dir: Path, services: Iterable[str]) -> str:
    variables = {"postgres": "PostgreSQL (VLOG_DATABASE_URL)", "redis": "Redis (VLOG_REDIS_URL)"}
    log = log_file(data_dir)
    tail = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    lines = "".join(f"\n  {line}" for line in tail)
    names = " and ".join(variables[name] for name in services)
    return (
        f"The embedded services do not start. {log} ends with:{lines}\n"
        f"Fix what it says, or set the address of a server of your own: {names}."
    )
