"""gunicorn's settings: `gunicorn -c python:vlog.webserver --bind ADDRESS vlog.wsgi`."""

import logging
from pathlib import Path
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]

from vlog.logs import LineFormatter

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - not for files of ours: gunicorn makes unnamed ones


class LineLogger(Logger):
    """gunicorn's own messages in the form of everybody else's."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.propagate = False
        handler = logging.StreamHandler()
        handler.setFormatter(LineFormatter())
        self.error_log.handlers = [handler]


logger_class = LineLogger
loglevel = "warning"
worker_class = "gthread"
workers = 2
threads = 16
# One import instead of two; no connection is opened at import.
preload_app = True
timeout = 60
graceful_timeout = 5
keepalive = 15
control_socket_disable = True
# A heartbeat must not wait for a disk that an encoder keeps busy.
worker_tmp_dir = str(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None
