"""The import of an original VLog, from the survey to the report."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.db import connection, transaction

from videos.moving import catalogue, database, fleet, making, rest, statistics, survey, vlog_tables
from videos.moving.database import MovingError, OldDatabase
from videos.moving.move import Move
from videos.moving.old_files import OldStorage
from videos.moving.progress import Progress
from videos.moving.report import Report
from videos.moving.transfer import Mode

LOCK = 0x6D6F7665  # of the advisory lock: one import at a time


@dataclass(frozen=True)
class Order:
    """What is imported: the address of the database, the storage folder, a name for both; and how files get here."""

    url: str
    storage: Path
    source: str
    mode: Mode


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
    survey.check_target()
    schema = vlog_tables.check(move.old)
    catalogue.check_identity(move)
    folder = OldStorage(order.storage)
    move.report.note(f"The database has the schema of the {schema}.")
    move.report.heading("What will be missing")
    survey.references(move)
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


@contextmanager
def alone() -> Iterator[None]:
    """Hold the lock of imports. Raises MovingError where another one runs."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            raise MovingError("Another import is running. Wait until it has ended.")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
