"""What beat runs for files. All can run twice, and finish what a killed process began."""

import logging

from videos import archive, uploads
from videos.models import Video
from videos.storage import ledger
from vlog.celery import app

log = logging.getLogger(__name__)


@app.task
def finish_archives() -> None:
    """Bring the files of every video where its row says."""
    if moved := archive.reconcile():
        log.warning("the files of %d videos were not where they belong: moved", moved)


@app.task
def purge_archive() -> None:
    """Delete for good what has been in the archive for its whole time."""
    for video in archive.due():
        archive.purge(video.pk)


@app.task
def sweep_uploads() -> None:
    """Remove what killed uploads left behind."""
    if removed := uploads.sweep_leftovers():
        log.warning("%d files of uploads that were cut off more than a day ago: removed", removed)


@app.task
def measure_storage() -> None:
    """Measure every video again: workers write files between the moments that note a row."""
    for video in Video.objects.iterator(chunk_size=200):
        ledger.note(video)
