"""What beat runs for the archive. Both can run twice, and finish what a killed process began."""

import logging

from videos import archive
from vlog.celery import app

log = logging.getLogger(__name__)


@app.task
def finish_archives() -> None:
    """Bring the files of every video where its row says."""
    if moved := archive.settle_all():
        log.warning("the files of %d videos were not where they belong: moved", moved)


@app.task
def purge_archive() -> None:
    """Delete for good what has been in the archive for its whole time."""
    for video in archive.due():
        archive.purge(video.pk)
