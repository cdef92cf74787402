"""`manage.py reset [--yes] [--force]`"""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from vlog import restore
from vlog.management.commands.restore import check_not_running, confirm


class Command(BaseCommand):
    help = (
        "Delete all rows and files, and start with an empty database. The secret key stays. Stop the site first. "
        "Exit code 0: VLog is empty, 1: it failed, 2: wrong use."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
        parser.add_argument("--force", action="store_true", help="continue even if the site or workers are running")

    def handle(self, *, yes: bool, force: bool, **options: Any) -> None:
        if not force:
            check_not_running()
        if not yes:
            confirm(f"deletes all accounts, videos and statistics, and all video files in {settings.DATA_DIR}")
        try:
            restore.reset()
        except DatabaseError as error:
            raise CommandError(f"The database reported an error, and nothing was changed: {error}") from error
        except OSError as error:
            raise CommandError(
                f"The database is empty, but some files could not be deleted: {error}. Run the command again."
            ) from error
        self.stdout.write("VLog is empty. Create an account with manage.py createsuperuser.")
