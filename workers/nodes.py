"""Celery nodes, and commands that work themselves: how they register as local workers and send heartbeats."""

import ctypes
import logging
import os
import platform
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from celery.signals import worker_init, worker_process_init, worker_ready, worker_shutdown
from django.conf import settings
from django.db import DatabaseError, OperationalError, close_old_connections, connections
from django.utils import timezone

from transcoding.engine.ffmpeg import encoders
from transcoding.engine.plan.plan import KNOWN_FORMATS
from vlog import release
from vlog.startup import explained
from workers.models import SILENT_SECONDS, Worker

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 4  # alerts say within half a minute that no node is left
PR_SET_PDEATHSIG = 1  # prctl(2)

# Set in a pool process that is asked to end: the running task releases its chunk.
stopping = threading.Event()

_stop_heartbeat = threading.Event()


def worker_id_of(node: str) -> str:
    """Return the identity of a node, which is the same after every restart."""
    return str(uuid5(NAMESPACE_DNS, f"{node}.vlog"))


def register(node: str) -> Worker:
    """Create or update the row of a node, which is active from now on unless an operator has disabled it."""
    now = timezone.now()
    facts = {
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "encoders": encoders.usable(settings.ENCODER),
        "plan_formats": list(KNOWN_FORMATS),
        "release": release.name(),
    }
    worker, _ = Worker.objects.update_or_create(
        worker_id=worker_id_of(node),
        defaults={"worker_name": node[:100], "last_heartbeat": now, "capabilities": facts},
        create_defaults={
            "worker_name": node[:100],
            "worker_type": Worker.Type.LOCAL,
            "registered_at": now,
            "last_heartbeat": now,
            "capabilities": facts,
        },
    )
    Worker.objects.filter(pk=worker.pk).mark_active()
    worker.refresh_from_db()
    return worker


def leave(node: str) -> None:
    """Record that the node has stopped."""
    Worker.objects.filter(worker_id=worker_id_of(node)).mark_offline()


def has_active_nodes(*prefixes: str) -> bool:
    """Return whether each of these queues, such as `encode`, has a node that claims."""
    nodes = Worker.objects.available()
    return all(nodes.filter(worker_name__startswith=f"{prefix}@").exists() for prefix in prefixes)


def beat_once(node: str) -> None:
    Worker.objects.filter(worker_id=worker_id_of(node)).record_heartbeat()


def mark_stale_offline() -> None:
    """Record that workers have stopped which sent no heartbeat for a while, however they ended."""
    Worker.objects.mark_stale_offline(SILENT_SECONDS)


def _beat(node: str) -> None:
    while not _stop_heartbeat.wait(HEARTBEAT_SECONDS):
        close_old_connections()
        try:
            beat_once(node)
        except DatabaseError as error:
            log.warning("no heartbeat, the database does not answer: %s", error)


@worker_init.connect
def register_node(sender: Any, **kwargs: object) -> None:
    """Register before the node claims: a claim needs a row. Without the database, the first task registers it."""
    with explained():
        try:
            register(sender.hostname)
        except OperationalError as error:
            log.warning("not registered yet, the database does not answer: %s", error)
    connections.close_all()  # the pool's processes are forked from here


@worker_ready.connect
def start_heartbeat(sender: Any, **kwargs: object) -> None:
    threading.Thread(target=_beat, args=(sender.hostname,), daemon=True).start()


@worker_shutdown.connect
def leave_node(sender: Any, **kwargs: object) -> None:
    _stop_heartbeat.set()
    leave(sender.hostname)


@worker_process_init.connect
def tie_to_parent(**kwargs: object) -> None:
    """Have the kernel end a pool process together with its node."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def deferred_sigterm() -> Iterator[None]:
    """While a task runs, have SIGTERM ask the task to end instead of ending the process.

    Set for each task, because billiard resets the handlers after `worker_process_init`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _ask_to_stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _ask_to_stop(number: int, frame: FrameType | None) -> None:
    stopping.set()
