"""`manage.py import_vlog`: import an installation of the original VLog. docs/moving-in.md describes it."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError

from videos.management import moving
from videos.moving import vlog
from videos.moving.database import MovingError
from videos.moving.move import Order
from videos.moving.transfer import Mode


class Command(BaseCommand):
    help = "Import an installation of the original VLog: rows, files, statistics and addresses."

    def add_arguments(self, parser: ArgumentParser) -> None:
        moving.add_arguments(parser, "vlog")
        parser.add_argument("--storage", type=Path, required=True, metavar="PATH", help="its storage folder")
        moving.add_modes(parser, *Mode)

    def handle(self, *, database_url: str, storage: Path, source: str, mode: Mode, **options: Any) -> None:
        source, url, is_trial = moving.check_name(source), moving.address(database_url), options["dry_run"]
        try:
            with moving.reporting(self, options["report"], is_trial=is_trial) as report:
                work = vlog.trial if is_trial else vlog.run
                work(Order(url, storage, source, mode), report, moving.progress(self))
        except MovingError as error:
            raise CommandError(str(error), returncode=1) from None
        except (OSError, psycopg.Error, InterfaceError, OperationalError) as error:
            raise CommandError(moving.interrupted(error), returncode=1) from error
        except KeyboardInterrupt:
            raise CommandError(moving.STOPPED, returncode=1) from None
