"""Periodic tasks for files. All are idempotent and complete the work of a killed process."""

import logging

from videos import archive, uploads
from videos.models import Video
from videos.storage import ledger
from vlog.celery import app

log = logging.getLogger(__name__)


@app.task
def finish_archives() -> None:
    """Move misplaced files to where the rows of their videos say."""
    if moved := archive.reconcile():
        log.warning("moved the misplaced files of %d video(s)", moved)


@app.task
def purge_archive() -> None:
    """Delete permanently every video whose time in the archive has expired."""
    for video in archive.due():
        archive.purge(video.pk)


@app.task
def sweep_uploads() -> None:
    """Remove the leftovers of interrupted uploads."""
    if removed := uploads.sweep_leftovers():
        log.warning("removed the leftovers of %d upload(s) interrupted more than a day ago", removed)


@app.task
def measure_storage() -> None:
    """Measure the disk usage of every video again: workers also write files between two updates of its row."""
    for video in Video.objects.iterator(chunk_size=200):
        ledger.note(video)
