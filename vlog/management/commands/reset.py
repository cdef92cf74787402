"""`manage.py reset [--yes] [--force]`"""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from vlog import backup
from vlog.management.commands.restore import check_nobody_works, confirm


class Command(BaseCommand):
    help = (
        "Delete everything, rows and files, and begin with an empty database; the secret key stays. Stop the site "
        "before. Exit code 0: it is empty, 1: it failed, 2: wrong use."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--force", action="store_true", help="even while the site or its workers run")

    def handle(self, *, yes: bool, force: bool, **options: Any) -> None:
        if not force:
            check_nobody_works()
        if not yes:
            confirm(f"deletes all accounts, videos and statistics, and all files of videos in {settings.DATA_DIR}")
        try:
            backup.reset()
        except DatabaseError as error:
            raise CommandError(f"The database refused, and nothing was changed: {error}") from error
        except OSError as error:
            raise CommandError(f"The database is empty, but not all files are gone: {error}. Run it again.") from error
        self.stdout.write("VLog is empty. manage.py createsuperuser makes an account.")
