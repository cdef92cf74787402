"""Periodic tasks for files. All are idempotent and complete the work of a killed process."""

import logging

from django.conf import settings

from transcoding.operations import renewal
from transcoding.steps import file_versions, tracks
from videos import archive, bulk, publication, uploads, webhooks
from videos.imports import transfers as imports
from videos.models import BulkEdit, Import, Video, WebhookDelivery
from videos.storage import ledger, placement
from vlog.celery import app
from vlog.sentences import counted

BULK_SECONDS = 20  # of one task; another one continues

log = logging.getLogger(__name__)


@app.task
def relocate() -> None:
    """Move the packages of videos with new media keys, and write changed captions, for processes that were killed."""
    if moved := placement.relocate_marked():
        log.warning("moved the files of %s that stopped being public", counted(moved, "video"))
    if written := tracks.sweep():
        log.warning("wrote the changed captions of %s", counted(written, "video"))


@app.task
def finish_archives() -> None:
    """Move misplaced files to where the rows of their videos say."""
    if moved := archive.reconcile():
        log.warning("moved the misplaced files of %s", counted(moved, "video"))


@app.task
def purge_archive() -> None:
    """Delete permanently every video whose time in the archive has expired."""
    for video in archive.due():
        archive.purge(video.pk)


@app.task
def purge_versions() -> None:
    """Delete replaced files whose time is over, and complete replacements."""
    if deleted := file_versions.sweep():
        log.info("deleted %s", counted(deleted, "replaced or failed version"))


@app.task
def sweep_uploads() -> None:
    """Finish the uploads that are complete, and remove expired ones and the leftovers of interrupted ones."""
    if finished := uploads.finish_arrived():
        log.warning("made the videos of %d complete upload(s) whose process was killed", finished)
    if purged := uploads.purge_expired():
        log.info("deleted %d upload(s) that were not continued for a week", purged)
    if removed := uploads.sweep_leftovers():
        log.warning("removed the leftovers of %s", counted(removed, "interrupted upload"))


@app.task
def renew_packages() -> None:
    """Have videos from other installations encoded anew while no other video waits."""
    renewal.renew()


@app.task
def measure_storage() -> None:
    """Measure the disk usage of every video again: workers also write files between two updates of its row."""
    for video in Video.objects.iterator(chunk_size=200):
        ledger.note(video)


@app.task
def apply_visibility_changes(*, ahead: bool = True) -> None:
    """Apply the changes of visibility that are due.

    ahead: also send messages for those that will be due before beat sends the next one, so that each is in time.
    """
    publication.apply_due()
    if ahead:
        for moment in publication.next_changes(settings.SWEEP_SECONDS):
            apply_visibility_changes.apply_async(kwargs={"ahead": False}, eta=moment)


@app.task
def deliver_webhooks() -> None:
    """Send the events that are due to their webhooks, and delete the records that are older than 30 days."""
    if number := WebhookDelivery.objects.prune():
        log.info("deleted %d old records of webhook deliveries", number)
    webhooks.deliver_due()


@app.task
def run_bulk_edits(edit_id: int | None = None) -> None:
    """Continue an edit of many videos or, without its id, all that are not finished."""
    unfinished = BulkEdit.objects.unfinished().order_by("pk")
    for pk in unfinished.values_list("pk", flat=True) if edit_id is None else [edit_id]:
        bulk.run(pk, BULK_SECONDS)


@app.task
def run_imports() -> None:
    """Fetch the files of addresses that wait, until nothing is ready."""
    Import.objects.prune()
    imports.run()
