"""One line per event, so that the mixed output of several processes can be read, by people or by programs."""

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

_subject: ContextVar[MappingProxyType[str, object]] = ContextVar("subject", default=MappingProxyType({}))


def begin(**subject: object) -> None:
    """What this thread logs from now on concerns this, such as `request="5f0c…"`, and nothing before."""
    _subject.set(MappingProxyType(subject))


def bind(**subject: object) -> None:
    """What this thread logs from now on concerns this as well, such as `job=12`."""
    begin(**{**_subject.get(), **subject})


class ExpectedAnswers(logging.Filter):
    """Passes no request that was asked to come again: a segment that is not made yet is nobody's error."""

    def filter(self, record: logging.LogRecord) -> bool:
        return getattr(record, "status_code", None) != HTTPStatus.SERVICE_UNAVAILABLE


class RefusedRequests(logging.Filter):
    """Passes what Django refuses in a request, without the traceback: anybody can send a hundred of them."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django.security."):
            record.exc_info = None
        if record.name == "django.security.DisallowedHost":
            advice = "If people reach the site under it, set VLOG_BASE_URL to their address, or VLOG_ALLOWED_HOSTS."
            record.msg, record.args = f"{record.getMessage()} {advice}", ()
        return True


class LineFormatter(logging.Formatter):
    """`HH:MM:SS process  LEVEL  message [job 12]`, in colour on a terminal only."""

    def __init__(self, *args: object, colour: bool | None = None, **kwargs: object) -> None:
        super().__init__()
        self.process = os.environ.get("VLOG_PROCESS", "vlog")
        self.colour = sys.stderr.isatty() if colour is None else colour

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        head = self._paint(DIM, f"{clock} {self.process:<6}")
        level = self._paint(COLOURS.get(record.levelno, ""), f"{record.levelname:<7}")
        subject = "".join(self._paint(DIM, f" [{name} {value}]") for name, value in _subject.get().items())
        return "\n".join([f"{head} {level} {record.message}{subject}", *self._traces(record)])

    def _traces(self, record: logging.LogRecord) -> list[str]:
        trace = [self.formatException(record.exc_info)] if record.exc_info else []
        return [*trace, record.stack_info] if record.stack_info else trace

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{PLAIN}" if self.colour and colour else text


class JsonFormatter(logging.Formatter):
    """A JSON object in a line: time (ISO 8601), process, level, logger, message, exception, and what it concerns."""

    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "process": os.environ.get("VLOG_PROCESS", "vlog"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_subject.get(),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event, ensure_ascii=False, default=str)


FORMATTERS = {"text": LineFormatter, "json": JsonFormatter}
