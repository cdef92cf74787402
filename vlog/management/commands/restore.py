"""`manage.py restore FILE [--yes] [--force]`"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from kombu.exceptions import OperationalError

from vlog import installation, running
from vlog.backup import BackupError
from vlog.management import keys
from vlog.management.commands.backup import summary
from vlog.management.keys import WRONG_USE
from vlog.restore import restore


class Command(BaseCommand):
    help = (
        "Replace everything with the content of a backup. If that fails, nothing is changed. Stop the site first. "
        "Exit code 0: the backup is restored, 1: it failed and nothing was changed, 2: wrong use."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="a file that `manage.py backup` wrote")
        parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
        parser.add_argument("--force", action="store_true", help="continue even if the site or workers are running")
        keys.add_unlock_options(parser)

    def handle(
        self,
        *,
        file: Path,
        yes: bool,
        force: bool,
        passphrase_file: Path | None,
        identity_file: Path | None,
        **options: Any,
    ) -> None:
        if not force:
            check_not_running()
        if not yes:
            confirm(f"replaces the database and, if {file} contains files, those in {settings.DATA_DIR}")
        try:
            manifest = restore(file, keys.unlock(file, passphrase_file, identity_file))
        except BackupError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{file} cannot be restored: {error.strerror or error}.") from error
        self.stdout.write(f"Restored from {summary(file, manifest)}")


def check_not_running() -> None:
    if instances := installation.running(settings.DATA_DIR):
        raise CommandError(f"VLog is running: {instances[0]}. Stop it first, or use --force.")
    try:
        nodes = running.nodes()
    except OperationalError as error:
        raise CommandError(
            "Redis does not answer, so it is unknown whether workers run. Start Redis, or use --force if none does."
        ) from error
    if nodes:
        names = ", ".join(sorted(nodes))
        raise CommandError(f"Workers are running: {names}. Stop them first, or use --force.")


def confirm(effect: str) -> None:
    """Return if the user types the name of the database. Raises CommandError otherwise."""
    name = connection.settings_dict["NAME"]
    try:
        typed = input(f"This {effect}. The present data is lost. Type {name} to continue: ")
    except EOFError as error:
        raise CommandError("There is no terminal for the confirmation: add --yes.", returncode=WRONG_USE) from error
    if typed.strip() != name:
        raise CommandError("Nothing was changed.")
