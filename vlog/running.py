"""The running processes of this installation: `manage.py up` on this machine, Celery nodes on all machines."""

from pathlib import Path

from django.conf import settings

from vlog.celery import app
from vlog.embedded import places

REPLY_SECONDS = 2


def supervisors() -> list[int]:
    """Return the process IDs of `manage.py up` with this data folder."""
    pids = [_pid_in(path) for path in sorted(places.run_dir(settings.DATA_DIR).glob("up-*.pid"))]
    return [pid for pid in pids if _is_supervisor(pid)]


def nodes() -> dict[str, set[str]]:
    """Return the queues of each running Celery node, by the name of the node. Raises kombu's OperationalError."""
    replies = app.control.inspect(timeout=REPLY_SECONDS).active_queues() or {}
    return {node: {queue["name"] for queue in queues} for node, queues in replies.items()}


def _pid_in(path: Path) -> int:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _is_supervisor(pid: int) -> bool:
    """Return whether the process is `manage.py up`. A killed one leaves its ID, which another process may have now."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"up" in words and any(word.endswith(b"manage.py") for word in words)
