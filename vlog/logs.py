"""Log formats with one line per event, so that the mixed output of several processes stays readable."""

import json
import logging
import os
import sys
import threading
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from http import HTTPStatus
from types import MappingProxyType, TracebackType
from typing import Any

COLOURS = {logging.WARNING: "\033[33m", logging.ERROR: "\033[31m", logging.CRITICAL: "\033[1;31m"}
DIM, PLAIN = "\033[2m", "\033[0m"

_context: ContextVar[MappingProxyType[str, object]] = ContextVar("context", default=MappingProxyType({}))


def bind(**context: object) -> None:
    """Add values, such as `job=12`, to everything that this thread logs from now on."""
    _context.set(MappingProxyType({**_context.get(), **context}))


def clear_context() -> None:
    """Remove the values that were added by `bind`."""
    _context.set(MappingProxyType({}))


class ExpectedResponses(logging.Filter):
    """Drops responses with 503, which ask the client to try again: a segment that is not made yet is no error."""

    def filter(self, record: logging.LogRecord) -> bool:
        return getattr(record, "status_code", None) != HTTPStatus.SERVICE_UNAVAILABLE


class RefusedRequests(logging.Filter):
    """Removes the traceback from refused requests, because any client can send hundreds of them."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django.security."):
            record.exc_info = None
        if record.name == "django.security.DisallowedHost":
            advice = "If that is an address of this site, add it to VLOG_ALLOWED_HOSTS or set VLOG_BASE_URL to it."
            record.msg, record.args = f"{record.getMessage()} {advice}", ()
        return True


class EmptyRecords(logging.Filter):
    """Drops records without a message, such as the newlines that libraries print."""

    def filter(self, record: logging.LogRecord) -> bool:
        return bool(record.exc_info or record.getMessage().strip())


class ConnectionErrors(logging.Filter):
    """Reduces what Celery logs about a Redis or a database that does not answer to one line for each event.

    Celery adds a traceback, and for each missed message of beat the whole stack, too. Likewise with a process of
    its pool that has ended, such as at a stop: the traceback is that of Celery, and says nothing of the task.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        kind, error, _ = record.exc_info or (None, None, None)
        # The error may be a wrapper of that kind.
        if error is None or _is_of_connection(error) or (kind and kind.__name__ == "WorkerLostError"):
            message = record.getMessage().strip().partition("\n")[0]
            record.msg, record.args, record.exc_info = message.removeprefix("Message Error: "), (), None
        return True


def _is_of_connection(error: BaseException | None) -> bool:
    """Return whether the cause of an error is that a connection failed; scheduling errors wrap theirs."""
    while error is not None:
        # Django's, psycopg's and kombu's have the same name; importing them here would be slow.
        if isinstance(error, OSError) or type(error).__name__ == "OperationalError" or _is_of_redis(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_of_redis(error: BaseException) -> bool:
    return type(error).__module__ == "redis.exceptions"


class LineFormatter(logging.Formatter):
    """Formats a record as `HH:MM:SS process  LEVEL  message [job 12]`, in colour if the output is a terminal."""

    def __init__(self, *args: object, colour: bool | None = None, **kwargs: object) -> None:
        super().__init__()
        self.process = os.environ.get("VLOG_PROCESS", "vlog")
        self.colour = sys.stderr.isatty() if colour is None else colour

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        head = self._paint(DIM, f"{clock} {self.process:<6}")
        level = self._paint(COLOURS.get(record.levelno, ""), f"{record.levelname:<7}")
        context = "".join(self._paint(DIM, f" [{name} {value}]") for name, value in _context.get().items())
        message = " ".join(line.strip() for line in record.message.splitlines() if line.strip())
        return "\n".join([f"{head} {level} {message}{context}", *self._traces(record)])

    def _traces(self, record: logging.LogRecord) -> list[str]:
        trace = [self.formatException(record.exc_info)] if record.exc_info else []
        return [*trace, record.stack_info] if record.stack_info else trace

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{PLAIN}" if self.colour and colour else text


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: time (ISO 8601), process, level, logger, message, exception, context."""

    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "process": os.environ.get("VLOG_PROCESS", "vlog"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_context.get(),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event, ensure_ascii=False, default=str)


FORMATTERS = {"text": LineFormatter, "json": JsonFormatter}


def chosen_formatter() -> logging.Formatter:
    """Return the formatter of VLOG_LOG_FORMAT, for processes that log before Django is set up or without it."""
    return FORMATTERS.get(os.environ.get("VLOG_LOG_FORMAT", ""), LineFormatter)()


def capture(log_format: str) -> None:
    """Log warnings instead of printing them, and with JSON also the traceback of an unexpected end."""
    logging.captureWarnings(True)
    if log_format == "json":
        sys.excepthook = _log_uncaught
        threading.excepthook = lambda failed: _log_uncaught(failed.exc_type, failed.exc_value, failed.exc_traceback)


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is not None and not issubclass(kind, KeyboardInterrupt | SystemExit):
        logging.getLogger("vlog").critical("ended unexpectedly: %s", error, exc_info=(kind, error, trace))


def complain(message: str) -> None:
    """Write why this process cannot run: as it is, or as a line of JSON if VLOG_LOG_FORMAT asks for that."""
    if os.environ.get("VLOG_LOG_FORMAT") == "json":
        record = logging.LogRecord("vlog", logging.CRITICAL, __file__, 0, message, None, None)
        message = JsonFormatter().format(record)
    sys.stderr.write(f"{message}\n")


def configuration(log_format: str) -> dict[str, Any]:
    """Return the value of Django's setting LOGGING. log_format: a key of FORMATTERS."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": {"()": FORMATTERS[log_format]}},
        "filters": {
            "expected": {"()": "vlog.logs.ExpectedResponses"},
            "refused": {"()": "vlog.logs.RefusedRequests"},
            "connection": {"()": "vlog.logs.ConnectionErrors"},
            "empty": {"()": "vlog.logs.EmptyRecords"},
        },
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "chosen", "filters": ["refused", "empty"]}
        },
        "root": {"handlers": ["console"], "level": "INFO"},
        "loggers": {
            "django.request": {"level": "ERROR", "filters": ["expected"]},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING", "filters": ["connection"]},
            "celery.worker.consumer.consumer": {"filters": ["connection"]},
            "celery.worker.request": {"filters": ["connection"]},
            "celery.utils.dispatch.signal": {"filters": ["connection"]},
        },
    }
