"""gunicorn's settings: `gunicorn -c python:vlog.webserver --bind ADDRESS vlog.wsgi`."""

import gc
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from gunicorn.sock import TCPSocket  # type: ignore[import-untyped]

from vlog import environment, traffic
from vlog.logs import FORMATTERS, LineFormatter

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - not for files of ours: gunicorn makes unnamed ones


class LineLogger(Logger):
    """gunicorn's own messages in the form of everybody else's."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.propagate = False
        handler = logging.StreamHandler()
        handler.setFormatter(FORMATTERS.get(os.environ.get("VLOG_LOG_FORMAT", ""), LineFormatter)())
        self.error_log.handlers = [handler]

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """A client that stands still is nobody's error: its connection is closed, and that is all."""
        if isinstance(sys.exc_info()[1], TimeoutError):
            self.warning("a client took nothing for too long, its connection was closed")
            return
        super().exception(msg, *args, **kwargs)


def pre_fork(server: Any, worker: Any) -> None:
    """What is loaded by now stays: the garbage collector need not look at it again, nor copy its pages."""
    gc.freeze()
    # Processes are begun one after the other, and the dead are known: no two living ones get the same place.
    taken = {other.place for other in server.WORKERS.values()}
    worker.place = next(place for place in range(traffic.PLACES) if place not in taken)


def post_fork(server: Any, worker: Any) -> None:
    """Each process gets a socket of its own, among which the kernel spreads connections.

    From a shared one, whoever wakes first takes all that come at the same moment, and one core has all the work.
    """
    traffic.take_place(worker.place)
    # A page makes thousands of objects and no cycles: collect after tens of pages instead of several times in each.
    gc.set_threshold(50_000, 20, 50)
    # One that was opened elsewhere and inherited cannot be opened again: it is shared, then.
    addresses = [listener.getsockname() for listener in server.LISTENERS if _is_ours(listener)]
    own = [TCPSocket(address, server.cfg, server.log) for address in addresses]
    worker.sockets = [*worker.sockets, *own]


def _is_ours(listener: Any) -> bool:
    return type(listener) is TCPSocket and bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))


logger_class = LineLogger
loglevel = "warning"
worker_class = "gthread"
# Browsers keep a connection, which stays with its process: with one process a core, one is busy while another waits.
workers = min(2 * (os.cpu_count() or 1), 8)
threads = environment.WEB_THREADS
reuse_port = True
# One import instead of two; no connection is opened at import.
preload_app = True
timeout = 60
graceful_timeout = 5
keepalive = 15
control_socket_disable = True
# A heartbeat must not wait for a disk that an encoder keeps busy.
worker_tmp_dir = str(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None
