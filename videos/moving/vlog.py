"""The import of an original VLog, from the survey to the report."""

from django.db import transaction

from videos.moving import catalogue, database, fleet, making, rest, statistics, survey, vlog_tables
from videos.moving.database import OldDatabase
from videos.moving.move import Move, Order, alone
from videos.moving.old_files import OldStorage
from videos.moving.progress import Progress
from videos.moving.report import Report


def run(order: Order, report: Report, progress: Progress) -> None:
    """Import everything that is not here yet. Raises MovingError: where possible, before anything was written."""
    with database.opened(order.url) as old, alone():
        move = Move(old, order.source, report, progress)
        folder = look(move, order)
        load_rows(move)
        making.load(move, folder, order.mode)
        statistics.load(move)
        progress.end()


def trial(order: Order, report: Report, progress: Progress) -> None:
    """Tell what `run` would do. The rows are written in a transaction that is rolled back; no file is touched."""
    with database.opened(order.url) as old, alone():
        move = Move(old, order.source, report, progress, is_trial=True)
        look(move, order)
        with transaction.atomic():
            load_rows(move)
            transaction.set_rollback(True)
        progress.end()
        _count_statistics(old, report)


def look(move: Move, order: Order) -> OldStorage:
    """Check the database and the storage; returns the latter. Raises MovingError."""
    schema = vlog_tables.check(move.old)
    catalogue.check_identity(move)
    folder = OldStorage(order.storage)
    move.report.note(f"The database has the schema of the {schema}.")
    move.report.heading("What will be missing")
    survey.references(move, vlog_tables.REFERENCES)
    found = survey.files(move, folder, order.mode)
    move.report.heading("Files")
    for line in found.lines:
        move.report.note(line)
    survey.archive(move)
    return folder


def load_rows(move: Move) -> None:
    """Import the rows that say what there is; those of files and sessions come later."""
    move.report.heading("Rows")
    catalogue.load_labels(move)
    catalogue.load_videos(move)
    catalogue.load_links(move)
    catalogue.load_playlists(move)
    fleet.load(move)
    rest.load(move)


def _count_statistics(old: OldDatabase, report: Report) -> None:
    for table in ("viewers", "playback_sessions", "transcriptions", "transcoding_jobs"):
        report.add(table.replace("_", " "), old.count(table))
