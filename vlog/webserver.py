"""The settings of gunicorn: `gunicorn -c python:vlog.webserver --bind ADDRESS vlog.wsgi`."""

import gc
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string
from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from gunicorn.sock import TCP6Socket, TCPSocket  # type: ignore[import-untyped]

from vlog import environment, logs, traffic
from vlog.serving.parts import ENDINGS

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - gunicorn creates unnamed files there


class LineLogger(Logger):
    """Writes gunicorn's messages in the format of all other log lines."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.propagate = False
        handler = logging.StreamHandler()
        handler.setFormatter(logs.chosen_formatter())
        self.error_log.handlers = [handler]

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log a client that stopped reading as a warning: it is no error of the site."""
        if isinstance(sys.exc_info()[1], TimeoutError):
            self.warning("a client stopped reading, its connection was closed")
            return
        super().exception(msg, *args, **kwargs)


def pre_fork(server: Any, worker: Any) -> None:
    """Keep the garbage collector from copying the pages of loaded objects, and choose a slot for the counters."""
    gc.freeze()
    # gunicorn forks one process at a time and forgets those that have ended, so no two running ones share a slot.
    used = {other.slot for other in server.WORKERS.values()}
    worker.slot = next(slot for slot in range(traffic.SLOTS) if slot not in used)


def post_fork(server: Any, worker: Any) -> None:
    """Open a listening socket for each process, so that the kernel distributes the connections.

    With a shared socket, the process that wakes first accepts all connections that arrive at the same moment, and one
    core does all the work.
    """
    traffic.use_slot(worker.slot)
    # A page creates thousands of objects and no cycles: collect after tens of pages instead of several times in each.
    gc.set_threshold(50_000, 20, 50)
    # An inherited socket cannot be opened again, so it stays shared.
    addresses = [listener.getsockname() for listener in server.LISTENERS if _can_be_reopened(listener)]
    own = [_socket_type(address)(address, server.cfg, server.log) for address in addresses]
    worker.sockets = [*worker.sockets, *own]


def _socket_type(address: tuple[Any, ...]) -> type[TCPSocket]:
    return TCP6Socket if ":" in address[0] else TCPSocket


def post_worker_init(worker: Any) -> None:
    """Start the threads that each process of the web server has beside its requests."""
    for path in settings.WEB_THREADS_OF_APPS:
        import_string(path)(lambda: worker.alive)


def worker_exit(server: Any, worker: Any) -> None:
    """Let the apps write what they hold in memory: the last request of this process is answered."""
    for path in ENDINGS:
        import_string(path)()


def _can_be_reopened(listener: Any) -> bool:
    return type(listener) in (TCPSocket, TCP6Socket) and bool(
        listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    )


logger_class = LineLogger
loglevel = "warning"
worker_class = "vlog.serving.worker.PatientWorker"
# A browser's connection stays with one process: with one process per core, one would be busy while another is idle.
workers = min(2 * (os.cpu_count() or 1), 8)
threads = environment.WEB_THREADS
worker_connections = environment.WEB_CONNECTIONS
reuse_port = True
# The code is imported once, before the fork; importing it opens no connection.
preload_app = True
timeout = 60
graceful_timeout = 5
keepalive = 15
control_socket_disable = True
# vlog.proxies decides whose X-Forwarded-Proto counts; gunicorn would believe every peer on a Unix socket.
secure_scheme_headers: dict[str, str] = {}
# A heartbeat must not wait for a disk that an encoder keeps busy.
worker_tmp_dir = str(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None
