"""Originals on their way from the disk of the machine that received them to the object store.

The site sends them, so that the workers need none of its folders. A job begins with the step `arrival`, which ends when
the original is in the store; then its other steps are sent. Each process of the web server has a thread for it, which
starts at once after an upload, and otherwise looks for what other processes have left. Commands send their originals
themselves.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from django.db import DatabaseError, connections

from transcoding import tasks
from transcoding.engine.contract import ShuttingDown
from transcoding.engine.package import files
from transcoding.models import TranscodingJob
from videos.storage import ledger
from videos.storage.paths import arrival_path, source_path

log = logging.getLogger(__name__)

INTERVAL = 30  # seconds between two looks, and after an error

_has_thread = threading.Event()
_arrived = threading.Event()


def announce() -> None:
    """Have the originals sent that have just arrived: by the thread of this process, or at once if it has none."""
    if _has_thread.is_set():
        _arrived.set()
    else:
        forward()


def _always() -> bool:
    return True


def forward(goes_on: Callable[[], bool] = _always) -> None:
    """Send every original on this machine's disk to the object store, and start its job.

    One that cannot be sent now is logged, and stays. Raises ShuttingDown soon after goes_on returns False.
    """
    for job in TranscodingJob.objects.arriving().select_related("video").order_by("pk"):
        try:
            with _locked(job) as is_mine:
                if is_mine:
                    _forward(job, goes_on)
        except OSError as error:
            log.warning("«%s» waits on this machine's disk: %s", job.video, error)


@contextmanager
def _locked(job: TranscodingJob) -> Iterator[bool]:
    """Lock the original against other processes of this machine; False where one of them is sending it.

    True, too, where it is not on this machine: it may be in the store, and its process was killed before it noted that.
    """
    try:
        folder = os.open(arrival_path(job.video).parent, os.O_RDONLY)
    except FileNotFoundError:
        yield True
        return
    try:
        yield _lock(folder)
    finally:
        os.close(folder)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _forward(job: TranscodingJob, goes_on: Callable[[], bool]) -> None:
    def on_progress(percent: int) -> None:
        if not goes_on():
            raise ShuttingDown
        # In the end it is 0 again, because then segments count.
        job.checkpoint(progress_percent=percent if percent < 100 else 0)

    path = source_path(job.video)
    files.receive(path, arrival_path(job.video), on_progress)
    if not path.is_file():
        return  # it is on the disk of another machine
    ledger.note(job.video)
    if job.arrive():
        tasks.start(job)
    elif not TranscodingJob.objects.filter(pk=job.pk).exists():
        files.remove(path.parent)  # the video was deleted permanently meanwhile


def start(chore: Callable[[], object], goes_on: Callable[[], bool]) -> None:
    """Start the thread of this process, which ends soon after goes_on returns False. chore: done at every look, too."""
    threading.Thread(target=_run, args=(chore, goes_on), name="arrivals", daemon=True).start()
    _has_thread.set()


def _run(chore: Callable[[], object], goes_on: Callable[[], bool]) -> None:
    while goes_on():
        _arrived.clear()
        try:
            with suppress(ShuttingDown):
                forward(goes_on)
                chore()
        except (DatabaseError, OSError) as error:
            log.warning("arrived originals cannot be sent to the object store now: %s", error)
        finally:
            connections.close_all()
        _arrived.wait(INTERVAL)
