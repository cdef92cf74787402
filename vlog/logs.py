"""One line per event, so that the mixed output of several processes can be read."""

import logging
import os
import sys
import time
from http import HTTPStatus

COLOURS = {logging.WARNING: "\033[33m", logging.ERROR: "\033[31m", logging.CRITICAL: "\033[1;31m"}
DIM, PLAIN = "\033[2m", "\033[0m"


class ExpectedAnswers(logging.Filter):
    """Passes no request that was asked to come again: a segment that is not made yet is nobody's error."""

    def filter(self, record: logging.LogRecord) -> bool:
        return getattr(record, "status_code", None) != HTTPStatus.SERVICE_UNAVAILABLE


class LineFormatter(logging.Formatter):
    """`HH:MM:SS process  LEVEL  message`, in colour on a terminal only."""

    def __init__(self, *args: object, colour: bool | None = None, **kwargs: object) -> None:
        super().__init__()
        self.process = os.environ.get("VLOG_PROCESS", "vlog")
        self.colour = sys.stderr.isatty() if colour is None else colour

    def format(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        head = self._paint(DIM, f"{clock} {self.process:<6}")
        level = self._paint(COLOURS.get(record.levelno, ""), f"{record.levelname:<7}")
        return "\n".join([f"{head} {level} {record.message}", *self._traces(record)])

    def _traces(self, record: logging.LogRecord) -> list[str]:
        trace = [self.formatException(record.exc_info)] if record.exc_info else []
        return [*trace, record.stack_info] if record.stack_info else trace

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{PLAIN}" if self.colour and colour else text
