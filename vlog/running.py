"""Who of this installation runs just now: `manage.py up` on this machine, Celery's nodes on all of them."""

from pathlib import Path

from django.conf import settings

from vlog.celery import app
from vlog.embedded import places

ANSWER_SECONDS = 2


def ups() -> list[int]:
    """The processes of `manage.py up` for this data folder."""
    found = [_pid_in(path) for path in sorted(places.run_dir(settings.DATA_DIR).glob("up-*.pid"))]
    return [pid for pid in found if _is_up(pid)]


def nodes() -> dict[str, set[str]]:
    """The queues that each living Celery node takes messages from, by its name. Raises kombu's OperationalError."""
    answers = app.control.inspect(timeout=ANSWER_SECONDS).active_queues() or {}
    return {node: {queue["name"] for queue in queues} for node, queues in answers.items()}


def _pid_in(path: Path) -> int:
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def _is_up(pid: int) -> bool:
    """A number that a killed one left may be somebody else's by now."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"up" in words and any(word.endswith(b"manage.py") for word in words)
