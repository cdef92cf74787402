"""How many requests the web server's processes answered, and how long each took: counted in memory that they share.

The memory is there before they are forked. Each process counts in a place of its own, which `webserver` gives it, so
that no lock reaches across processes, and what a killed one has counted stays; it all ends with the server.
"""

import mmap
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator

from django.http import HttpRequest, HttpResponse
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

PLACES = 32  # processes at most, with those that end while others begin
PARTS = ("pages", "admin", "api", "media")
STATUSES = ("2xx", "3xx", "4xx", "5xx")
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds; media may wait for eight
# Of each part: a number of each status, one of each bucket and one above them, the sum of seconds.
OF_A_PART = len(STATUSES) + len(BOUNDS) + 2
OF_A_PLACE = len(PARTS) * OF_A_PART
DOUBLE = 8  # bytes

_counts = memoryview(mmap.mmap(-1, PLACES * OF_A_PLACE * DOUBLE)).cast("d")
_lock = threading.Lock()
_place = 0


def take_place(number: int) -> None:
    """From now on this process counts there, and no other living one may."""
    global _place  # noqa: PLW0603 - it is the process's own
    _place = number % PLACES


def counting(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """A middleware, before all that answer: it counts until the answer begins."""

    def respond(request: HttpRequest) -> HttpResponse:
        started = time.monotonic()
        response = get_response(request)
        count(request.path_info, response.status_code, time.monotonic() - started)
        return response

    return respond


def count(path: str, status: int, seconds: float) -> None:
    first = path.split("/", 2)[1]
    part = PARTS.index(first) if first in PARTS[1:] else 0
    begin = _place * OF_A_PLACE + part * OF_A_PART
    with _lock:
        _counts[begin + min(max(status // 100, 2), 5) - 2] += 1
        _counts[begin + len(STATUSES) + bisect_left(BOUNDS, seconds)] += 1
        _counts[begin + OF_A_PART - 1] += seconds


def metrics() -> Iterator[Metric]:
    """What all processes have counted since the server started."""
    answered = CounterMetricFamily("vlog_http_requests", "Requests answered.", labels=["part", "status"])
    took = HistogramMetricFamily("vlog_http_request_seconds", "Until the answer begins.", labels=["part"])
    totals = [sum(_counts[index::OF_A_PLACE]) for index in range(OF_A_PLACE)]
    for number, part in enumerate(PARTS):
        own = totals[number * OF_A_PART : (number + 1) * OF_A_PART]
        for status, value in zip(STATUSES, own, strict=False):
            answered.add_metric([part, status], value)
        took.add_metric([part], list(_buckets(own[len(STATUSES) : -1])), own[-1])
    yield from (answered, took)


def _buckets(counted: list[float]) -> Iterator[tuple[str, float]]:
    """Prometheus wants each bucket with all below it."""
    below = 0.0
    for bound, value in zip((*map(str, BOUNDS), "+Inf"), counted, strict=True):
        below += value
        yield bound, below
