"""The worker's loop, the same over the database and over HTTP."""

import errno
import logging
import threading
import time
from collections.abc import Collection
from dataclasses import replace

from transcoding.engine.contract import Assignment, LeaseLost, Queue, ShuttingDown, Yield
from transcoding.engine.encode import EncodeError, encode
from transcoding.engine.package.files import Open, as_it_is

log = logging.getLogger(__name__)

REPORT_SECONDS = 1  # a cancelled encoder stops this soon, and one whose worker is needed elsewhere
DISK_FULL = "The disk is full. The chunk was released, no attempt was spent. Work goes on when space is available."


def work_one(
    queue: Queue, kinds: Collection[str], stop: threading.Event, threads: int = 0, reading: Open = as_it_is
) -> bool:
    """Claim the most important chunk, make it, deliver it; return False where there was none, or no space for it.

    When stop is set or the disk is full, the chunk is released. Another error of the encoder or the disk spends an
    attempt; a lost lease ends the work without a report, since the chunk belongs to another worker.
    """
    assignment = queue.claim(kinds)
    if assignment is None:
        return False
    try:
        return _make(queue, assignment, stop, threads, reading)
    except LeaseLost:
        log.warning("%s: stopped, the lease is lost", describe(assignment))
    return True


def _make(queue: Queue, assignment: Assignment, stop: threading.Event, threads: int, reading: Open) -> bool:
    """Return False where the disk is full."""
    log.info("%s: started", describe(assignment))
    started = time.monotonic()
    try:
        with reading(assignment.source) as source:

            def deliver(rendition: str, index: int, data: bytes) -> None:
                source.check()  # or ffmpeg may have replaced pictures that did not arrive
                queue.deliver(assignment, rendition, index, data)

            opened = replace(assignment, source=source.address)
            warnings = encode(opened, deliver, Pulse(queue, assignment, stop), threads)
    except Yield:
        queue.complete(assignment)
        log.info("%s: yielded, a viewer waits for another part", describe(assignment))
    except ShuttingDown:
        queue.release(assignment)
        log.info("%s: released", describe(assignment))
    except (EncodeError, OSError) as error:
        log.error("%s: %s", describe(assignment), error)
        if is_disk_full(error):
            queue.release(assignment, DISK_FULL)
            return False
        queue.fail(assignment, str(error))
    else:
        for warning in warnings:
            log.warning("%s: %s", describe(assignment), warning)
            queue.warn(assignment, warning)
        queue.complete(assignment)
        log.info("%s: done in %.1f s", describe(assignment), time.monotonic() - started)
    return True


def is_disk_full(error: Exception) -> bool:
    """Return whether the disk, or the user's quota of it, is used up: that is no failure of the chunk."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


class Pulse:
    """Renews the lease every few seconds; it is called often while encoding."""

    def __init__(self, queue: Queue, assignment: Assignment, stop: threading.Event) -> None:
        self.queue, self.assignment, self.stop = queue, assignment, stop
        self.reported = time.monotonic()

    def __call__(self) -> None:
        if self.stop.is_set():
            raise ShuttingDown
        if time.monotonic() - self.reported >= REPORT_SECONDS:
            self.queue.report(self.assignment)
            self.reported = time.monotonic()


def describe(assignment: Assignment) -> str:
    what = "audio" if assignment.kind == "audio" else f"segments {assignment.first}-{assignment.last}"
    return f"«{assignment.title}» {what}"
