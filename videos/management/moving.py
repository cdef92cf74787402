"""What the commands that import another installation have in common."""

import re
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from videos.models import ImportMap
from videos.moving.progress import Progress
from videos.moving.report import Report
from videos.moving.transfer import Mode

WRONG_USE = 2
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")
STOPPED = "Stopped. Run the command again to go on: what is here is not imported again."
BY_FILE, BY_INPUT = "@", "-"
MODES = {
    Mode.COPY: "copy the files (default)",
    Mode.HARDLINK: "give the files a second name here, on the same file system",
    Mode.MOVE: "remove each old file after the one here was compared with it",
}


def add_arguments(parser: ArgumentParser, source: str) -> None:
    parser.add_argument(
        "--database-url",
        required=True,
        metavar="URL",
        help="postgresql://… of the old database; @FILE reads it from a file, - from the standard input",
    )
    parser.add_argument("--dry-run", action="store_true", help="tell what would happen, and write nothing")
    parser.add_argument(
        "--source", default=source, metavar="NAME", help=f"a name of the installation; default: {source}"
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="where the report is written; default: here, by date"
    )


def add_modes(parser: ArgumentParser, *modes: Mode) -> None:
    group = parser.add_mutually_exclusive_group()
    for mode in modes:
        options = {"dest": "mode", "action": "store_const", "const": mode, "default": Mode.COPY}
        group.add_argument(f"--{mode}", help=MODES[mode], **options)  # type: ignore[arg-type]


def address(text: str) -> str:
    """Return the address of a database, which may be in a file so that no list of processes shows it."""
    try:
        if text == BY_INPUT:
            return sys.stdin.readline().strip()
        return Path(text[1:]).read_text().strip() if text.startswith(BY_FILE) else text
    except OSError as error:
        raise CommandError(f"{text[1:]} cannot be read: {error.strerror}.", returncode=WRONG_USE) from error


def interrupted(error: Exception) -> str:
    """Return a sentence about a disk, an object store or a database that failed on the way."""
    reason = str(error).strip().partition("\n")[0].rstrip(".")
    return f"The import was interrupted: {reason}. Run the command again to go on: what is here is not imported again."


def check_name(source: str) -> str:
    if not NAME.fullmatch(source):
        message = f"--source {source!r}: a name has small letters, digits and hyphens, 30 at most."
        raise CommandError(message, returncode=WRONG_USE)
    return source


@contextmanager
def reporting(command: BaseCommand, file: Path | None, *, is_trial: bool) -> Iterator[Report]:
    """Give a report that is written to a file, or of a trial to the standard output; the numbers are printed."""
    ImportMap.objects.exists()  # a site without tables says so before the old database is asked
    if is_trial:
        report = Report(command.stdout.write)
        yield report
        _print(command, report)
        return
    path = file or Path(f"{command.__module__.rpartition('.')[2]}-{_now():%Y%m%d-%H%M%S}.txt")
    try:
        out = path.open("x", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"The report {path} cannot be written: {error.strerror}.", returncode=WRONG_USE) from error
    report = Report(lambda line: out.write(f"{line}\n"))
    try:
        with out:
            yield report
            report.heading("Numbers")
            for line in report.summary():
                report.note(line)
    except BaseException:
        if any(report.added.values()):
            command.stderr.write(f"The report so far is {path}.")
        else:
            path.unlink()  # it was refused before anything was written, and the message says why
        raise
    _print(command, report, f"in {path}")


def _print(command: BaseCommand, report: Report, where: str = "above") -> None:
    for line in report.summary(where=where):
        command.stdout.write(line)
    if where != "above":
        command.stdout.write(f"The report is {where.removeprefix('in ')}.")


def _now() -> datetime:
    return timezone.localtime()


def progress(command: BaseCommand) -> Progress:
    raw: Any = command.stderr._out  # the wrapper would end each state of the bar with a line feed
    return Progress(raw)
