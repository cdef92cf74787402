"""Celery nodes, and commands that do the work themselves: they register as local workers and report themselves."""

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
from django.db import DatabaseError, close_old_connections, connections
from django.db.models import Case, QuerySet, Value, When
from django.utils import timezone

from transcoding.engine.ffmpeg import encoders
from workers.models import SILENT_SECONDS, Worker

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 20
PR_SET_PDEATHSIG = 1  # prctl(2)

# Set in a pool process when it is asked to end: whoever works gives the work back.
stopping = threading.Event()

_stop_heartbeat = threading.Event()


def worker_id_of(node: str) -> str:
    """The identity of a node: the same after every restart."""
    return str(uuid5(NAMESPACE_DNS, f"{node}.vlog"))


def register(node: str) -> Worker:
    """Enter a node into the workers' table, or bring it back to life there; an operator's `disabled` stays."""
    now = timezone.now()
    facts = {
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "encoders": encoders.usable(settings.ENCODER),
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
    Worker.objects.filter(pk=worker.pk, status=Worker.Status.OFFLINE).update(status=Worker.Status.ACTIVE)
    worker.refresh_from_db()
    return worker


def leave(node: str) -> None:
    """The node ends: nobody waits for it any more."""
    active = Worker.objects.filter(worker_id=worker_id_of(node), status=Worker.Status.ACTIVE)
    active.update(status=Worker.Status.OFFLINE, current_job=None)


def has_active_nodes(*prefixes: str) -> bool:
    """Whether a node that takes new work exists for each of these queues, such as `encode`."""
    nodes = Worker.objects.available()
    return all(nodes.filter(worker_name__startswith=f"{prefix}@").exists() for prefix in prefixes)


def beat_once(node: str) -> None:
    record_heartbeat(Worker.objects.filter(worker_id=worker_id_of(node)))


def record_heartbeat(workers: QuerySet[Worker]) -> None:
    """They live, also those that had been called offline; `disabled` stays."""
    revived = Case(When(status=Worker.Status.OFFLINE, then=Value(Worker.Status.ACTIVE)), default="status")
    workers.update(last_heartbeat=timezone.now(), status=revived)


def mark_stale_offline() -> None:
    """Whoever has not been heard of for a while is offline, however it ended."""
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
    """Before the node takes work: a claim needs a row in `workers`."""
    register(sender.hostname)
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
    """A pool process dies with its node."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def deferred_sigterm() -> Iterator[None]:
    """While a task runs, SIGTERM asks it to come to an end and does not end the process.

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
