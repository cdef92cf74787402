"""Counters of requests, bytes and response times, in memory that the processes of the web server share.

The memory is allocated before the processes are forked. Each process writes to its own slot, which `webserver` assigns,
so that no lock is needed between processes and the counts of a killed process stay. All counts end with the server.
"""

import mmap
import re
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from vlog.serving.everybody import parameters_of

SLOTS = 32  # most processes at a time, including those that end while others start
PARTS = ("pages", "admin", "api", "media")
STATUSES = ("2xx", "3xx", "4xx", "5xx", "503")  # 503 asks a client to come back, the other ones of 5xx are errors
UNAVAILABLE = STATUSES.index("503")
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)  # seconds; a request for media may wait for eight
# For each part: one counter per status, one per bucket and one above the last bound, the sum of seconds, and the bytes
# of bodies that were received and sent.
PART_SIZE = len(STATUSES) + len(BOUNDS) + 4
SECONDS, RECEIVED, SENT = PART_SIZE - 3, PART_SIZE - 2, PART_SIZE - 1
SLOT_SIZE = len(PARTS) * PART_SIZE
DOUBLE = 8  # bytes
COUNTED_AHEAD = "vlog.counted_ahead"  # in a request whose page a layer ahead of Django compresses, and then counts

_counts = memoryview(mmap.mmap(-1, SLOTS * SLOT_SIZE * DOUBLE)).cast("d")
_lock = threading.Lock()
_slot = 0
DECIMAL = re.compile(r"\d{1,18}", re.ASCII)  # of a length; Python refuses to convert a very long number


def use_slot(number: int) -> None:
    """Let this process count in a slot that no other running process uses."""
    global _slot  # noqa: PLW0603 - each process has its own
    _slot = number % SLOTS


def count_requests(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Return the middleware. It must come before every one that responds; it measures until the response starts."""

    def respond(request: HttpRequest) -> HttpResponse:
        started = time.monotonic()
        response = get_response(request)
        if COUNTED_AHEAD in request.META and parameters_of(response) is not None:
            return response
        count(request.path_info, response.status_code, time.monotonic() - started)
        count_bytes(request.path_info, _received(request), _sent(request, response))
        return response

    return respond


def count(path: str, status: int, seconds: float) -> None:
    begin = _begin(path)
    number = UNAVAILABLE if status == HTTPStatus.SERVICE_UNAVAILABLE else min(max(status // 100, 2), 5) - 2
    with _lock:
        _counts[begin + number] += 1
        _counts[begin + len(STATUSES) + bisect_left(BOUNDS, seconds)] += 1
        _counts[begin + SECONDS] += seconds


def count_bytes(path: str, received: int, sent: int) -> None:
    begin = _begin(path)
    with _lock:
        _counts[begin + RECEIVED] += received
        _counts[begin + SENT] += sent


def _begin(path: str) -> int:
    """Return where the counters begin of the part of the site that an address belongs to."""
    first = path.split("/", 2)[1]
    part = PARTS.index(first) if first in PARTS[1:] else 0
    return _slot * SLOT_SIZE + part * PART_SIZE


def _received(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length) if DECIMAL.fullmatch(length) else 0


def _sent(request: HttpRequest, response: HttpResponse) -> int:
    """Return the bytes of the answer's body, as far as they are known before it is sent."""
    if request.method == "HEAD":
        return 0
    if not response.streaming:
        return len(response.content)
    return int(response.headers.get("Content-Length") or 0)


def metrics() -> Iterator[Metric]:
    """Yield the totals of all processes since the server started."""
    responses = CounterMetricFamily("vlog_http_requests", "Requests answered.", labels=["part", "status"])
    durations = HistogramMetricFamily("vlog_http_request_seconds", "Time until the response starts.", labels=["part"])
    received = CounterMetricFamily("vlog_http_received_bytes", "Bytes of the bodies of requests.", labels=["part"])
    sent = CounterMetricFamily("vlog_http_sent_bytes", "Bytes of the bodies of responses.", labels=["part"])
    totals = [sum(_counts[index::SLOT_SIZE]) for index in range(SLOT_SIZE)]
    for number, part in enumerate(PARTS):
        own = totals[number * PART_SIZE : (number + 1) * PART_SIZE]
        for status, value in zip(STATUSES, own, strict=False):
            responses.add_metric([part, status], value)
        durations.add_metric([part], list(_buckets(own[len(STATUSES) : SECONDS])), own[SECONDS])
        received.add_metric([part], own[RECEIVED])
        sent.add_metric([part], own[SENT])
    yield from (responses, durations, received, sent)


def _buckets(counted: list[float]) -> Iterator[tuple[str, float]]:
    """Yield cumulative buckets, as Prometheus expects them."""
    total = 0.0
    for bound, value in zip((*map(str, BOUNDS), "+Inf"), counted, strict=True):
        total += value
        yield bound, total
