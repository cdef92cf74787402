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

REPORT_SECONDS = 1  # so soon a cancelled encoder stops, and one whose worker is wanted elsewhere
DISK_FULL = "The disk is full: given back, and no attempt spent. It goes on when there is room again."


def work_one(
    queue: Queue, kinds: Collection[str], stop: threading.Event, threads: int = 0, reading: Open = as_it_is
) -> bool:
    """Claim the piece that matters most, make it, deliver it; False where there was none, or no room for it.

    stop asks to give the piece back, and so does a full disk. Another error of the encoder or the disk spends an
    attempt; a lost lease ends the work silently, since the piece is somebody else's now.
    """
    assignment = queue.claim(kinds)
    if assignment is None:
        return False
    try:
        return _make(queue, assignment, stop, threads, reading)
    except LeaseLost:
        log.warning("%s: the lease is lost, stopped", describe(assignment))
    return True


def _make(queue: Queue, assignment: Assignment, stop: threading.Event, threads: int, reading: Open) -> bool:
    """False where the disk is full."""
    log.info("%s: started", describe(assignment))
    started = time.monotonic()
    try:
        with reading(assignment.source) as source:

            def deliver(rendition: str, index: int, data: bytes) -> None:
                source.check()  # or it may be what stands for pictures that did not come
                queue.deliver(assignment, rendition, index, data)

            opened = replace(assignment, source=source.address)
            warnings = encode(opened, deliver, Pulse(queue, assignment, stop), threads)
    except Yield:
        queue.complete(assignment)
        log.info("%s: left, another part is waited for", describe(assignment))
    except ShuttingDown:
        queue.release(assignment)
        log.info("%s: given back", describe(assignment))
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
    """Whether this is no failure of the piece: the disk, or what this user may have of it, is used up."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


class Pulse:
    """Called often while encoding; renews the lease every few seconds."""

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
    what = "sound" if assignment.kind == "audio" else f"segments {assignment.first}-{assignment.last}"
    return f"«{assignment.title}» {what}"
