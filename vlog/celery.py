"""The Celery application: `celery -A vlog worker`."""

import logging
import os
import pickle
import sys
from contextlib import suppress
from typing import Any

from celery import Celery
from celery.signals import after_setup_logger, beat_init, celeryd_init, task_prerun
from celery.utils.log import get_multiprocessing_logger
from django.conf import settings

from vlog import embedded, logs
from vlog.startup import explained

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vlog.settings")

with explained():
    settings.DEBUG  # noqa: B018 - reads all of them, before Celery would wrap an error into a traceback

app = Celery("vlog")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@celeryd_init.connect
@beat_init.connect
def join_installation(**kwargs: object) -> None:
    """Keep the embedded services running for as long as this worker or scheduler runs."""
    with explained():
        embedded.join()


@celeryd_init.connect
def log_signals(**kwargs: object) -> None:
    """Have Celery log the signals that it gets; it writes them to the standard output, past the log's format."""
    sys.modules["celery.apps.worker"].safe_say = _log_signal  # type: ignore[attr-defined]


def _log_signal(message: str, file: object = None) -> None:
    # Written at once: a handler of signals must not take the lock of a log handler.
    record = logging.LogRecord("celery.worker", logging.INFO, __file__, 0, message.strip(), None, None)
    os.write(2, f"{logs.chosen_formatter().format(record)}\n".encode())


@celeryd_init.connect
def end_pools_quietly(**kwargs: object) -> None:
    """Have the end of a pool survive a process that ended first, as at Ctrl-C, which all processes get at once.

    Celery empties the queues of the pool's processes. In that of such a process a message may be incomplete, and
    the error would leave the rest of the pool as it is, with a traceback.
    """
    from celery.concurrency.asynpool import AsynPool  # noqa: PLC0415 - only workers have pools

    pool_class: Any = AsynPool
    empty = pool_class._help_stuff_finish

    def empty_what_can_be_read(pool: object) -> None:
        with suppress(EOFError, OSError, pickle.UnpicklingError):
            empty(pool)

    pool_class._help_stuff_finish = staticmethod(empty_what_can_be_read)


@after_setup_logger.connect
def format_pool_messages(**kwargs: object) -> None:
    """Give the messages of the pool of processes, whose logger has no parent, the format of all others."""
    for handler in getattr(get_multiprocessing_logger(), "handlers", ()):
        handler.setFormatter(logs.chosen_formatter())


@task_prerun.connect
def clear_log_context(**kwargs: object) -> None:
    """Remove the log context of the previous task."""
    logs.clear_context()


@beat_init.connect
def start_alerts(**kwargs: object) -> None:
    from vlog import alerts  # noqa: PLC0415 - it needs Django to be set up

    alerts.start()
