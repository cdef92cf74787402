"""`manage.py restore FILE [--yes] [--force]`"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from kombu.exceptions import OperationalError

from vlog import backup, running
from vlog.management.commands.backup import summary

WRONG_USE = 2


class Command(BaseCommand):
    help = (
        "Put a backup in the place of everything that is there: all of it, or, where it fails, nothing. Stop the site "
        "before. Exit code 0: it is restored, 1: it failed and nothing was changed, 2: wrong use."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="one that `manage.py backup` wrote")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--force", action="store_true", help="even while the site or its workers run")

    def handle(self, *, file: Path, yes: bool, force: bool, **options: Any) -> None:
        if not force:
            check_nobody_works()
        if not yes:
            confirm(f"replaces the database and, where {file} has any, the files in {settings.DATA_DIR}")
        try:
            manifest = backup.restore(file)
        except backup.BackupError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{file} cannot be restored: {error.strerror}.") from error
        self.stdout.write(f"Restored from {summary(file, manifest)}")


def check_nobody_works() -> None:
    if pids := running.ups():
        raise CommandError(f"VLog runs here (process {pids[0]}). Stop it first; --force does it all the same.")
    try:
        nodes = running.nodes()
    except OperationalError as error:
        raise CommandError(
            "Redis does not answer, so nobody can tell whether workers run. Start it, or use --force when none does."
        ) from error
    if nodes:
        names = ", ".join(sorted(nodes))
        raise CommandError(f"Workers run: {names}. Stop them first; --force does it all the same.")


def confirm(what: str) -> None:
    """Go on only when the name of the database is typed."""
    name = connection.settings_dict["NAME"]
    try:
        typed = input(f"This {what}. What is there now is lost. Type {name} to go on: ")
    except EOFError as error:
        raise CommandError("Nobody is there to ask: add --yes.", returncode=WRONG_USE) from error
    if typed.strip() != name:
        raise CommandError("Nothing was changed.")
