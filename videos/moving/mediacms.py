"""The import of a MediaCMS, from the survey to the report."""

from django.db import transaction

from videos.moving import database, mediacms_files, mediacms_rows, mediacms_tables, survey
from videos.moving.database import MovingError
from videos.moving.mediacms_files import MediaFolder
from videos.moving.move import Move, Order, alone
from videos.moving.progress import Progress
from videos.moving.report import Report
from vlog import disk
from vlog.sentences import counted


def run(order: Order, report: Report, progress: Progress) -> None:
    """Import everything that is not here yet. Raises MovingError: where possible, before anything was written."""
    with database.opened(order.url) as old, alone():
        move = Move(old, order.source, report, progress)
        folder = look(move, order)
        mediacms_rows.load(move)
        mediacms_files.load(move, folder, order.mode)
        list_dropped(move)
        progress.end()


def trial(order: Order, report: Report, progress: Progress) -> None:
    """Tell what `run` would do. The rows are written in a transaction that is rolled back; no file is touched."""
    with database.opened(order.url) as old, alone():
        move = Move(old, order.source, report, progress, is_trial=True)
        look(move, order)
        with transaction.atomic():
            mediacms_rows.load(move)
            transaction.set_rollback(True)
        list_dropped(move)
        progress.end()


def look(move: Move, order: Order) -> MediaFolder:
    """Check the database and the media folder; returns the latter. Raises MovingError."""
    mediacms_tables.check(move.old)
    folder = MediaFolder(order.storage)
    move.report.heading("What will be missing")
    survey.references(move, mediacms_tables.REFERENCES)
    size, unsafe = mediacms_files.total(move, folder, move.report)
    move.report.note(f"{disk.readable(size):>10} originals")
    if unsafe:
        raise MovingError("Nothing was imported.\n" + "\n".join(unsafe[: survey.UNSAFE]))
    survey.check_space(size, 0, folder.root, order.mode)
    return folder


def list_dropped(move: Move) -> None:
    """List the tables that have no place here."""
    move.report.heading("Not imported")
    for table, reason in mediacms_tables.DROPPED.items():
        if table in move.old.tables and (number := move.old.count(table)):
            move.report.note(f"{table}: {counted(number, 'row')}; {reason}")
