"""Counters of requests and response times, in memory that the processes of the web server share.

The memory is allocated before the processes are forked. Each process writes to its own slot, which `webserver` assigns,
so that no lock is needed between processes and the counts of a killed process stay. All counts end with the server.
"""

import mmap
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator

from django.http import HttpRequest, HttpResponse
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

SLOTS = 32  # most processes at a time, including those that end while others start
PARTS = ("pages", "admin", "api", "media")
STATUSES = ("2xx", "3xx", "4xx", "5xx")
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds; a request for media may wait for eight
# For each part: one counter per status, one per bucket and one above the last bound, and the sum of seconds.
PART_SIZE = len(STATUSES) + len(BOUNDS) + 2
SLOT_SIZE = len(PARTS) * PART_SIZE
DOUBLE = 8  # bytes

_counts = memoryview(mmap.mmap(-1, SLOTS * SLOT_SIZE * DOUBLE)).cast("d")
_lock = threading.Lock()
_slot = 0


def use_slot(number: int) -> None:
    """Let this process count in a slot that no other running process uses."""
    global _slot  # noqa: PLW0603 - each process has its own
    _slot = number % SLOTS


def count_requests(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Return the middleware. It must come before every one that responds; it measures until the response starts."""

    def respond(request: HttpRequest) -> HttpResponse:
        started = time.monotonic()
        response = get_response(request)
        count(request.path_info, response.status_code, time.monotonic() - started)
        return response

    return respond


def count(path: str, status: int, seconds: float) -> None:
    first = path.split("/", 2)[1]
    part = PARTS.index(first) if first in PARTS[1:] else 0
    begin = _slot * SLOT_SIZE + part * PART_SIZE
    with _lock:
        _counts[begin + min(max(status // 100, 2), 5) - 2] += 1
        _counts[begin + len(STATUSES) + bisect_left(BOUNDS, seconds)] += 1
        _counts[begin + PART_SIZE - 1] += seconds


def metrics() -> Iterator[Metric]:
    """Yield the totals of all processes since the server started."""
    responses = CounterMetricFamily("vlog_http_requests", "Requests answered.", labels=["part", "status"])
    durations = HistogramMetricFamily("vlog_http_request_seconds", "Time until the response starts.", labels=["part"])
    totals = [sum(_counts[index::SLOT_SIZE]) for index in range(SLOT_SIZE)]
    for number, part in enumerate(PARTS):
        own = totals[number * PART_SIZE : (number + 1) * PART_SIZE]
        for status, value in zip(STATUSES, own, strict=False):
            responses.add_metric([part, status], value)
        durations.add_metric([part], list(_buckets(own[len(STATUSES) : -1])), own[-1])
    yield from (responses, durations)


def _buckets(counted: list[float]) -> Iterator[tuple[str, float]]:
    """Yield cumulative buckets, as Prometheus expects them."""
    total = 0.0
    for bound, value in zip((*map(str, BOUNDS), "+Inf"), counted, strict=True):
        total += value
        yield bound, total
