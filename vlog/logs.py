"""Log formats with one line per event, so that the mixed output of several processes stays readable."""

import json
import logging
import os
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from http import HTTPStatus
from types import MappingProxyType

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
        return "\n".join([f"{head} {level} {record.message}{context}", *self._traces(record)])

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
