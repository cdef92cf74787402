"""`manage.py backup FILE [--with-files] [--verify]`"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from vlog import backup
from vlog.disk import readable

WRONG_USE = 2


class Command(BaseCommand):
    help = (
        "Save the database, and with --with-files all videos, in one file, while the site runs. "
        "Exit code 0: it is complete, 1: it failed, 2: wrong use."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="one that is there is replaced")
        parser.add_argument("--with-files", action="store_true", help="also originals, packages, archive, secret key")
        parser.add_argument("--verify", action="store_true", help="check FILE instead of writing it")

    def handle(self, *, file: Path, with_files: bool, verify: bool, **options: Any) -> None:
        if verify and with_files:
            raise CommandError("--verify finds out by itself whether FILE has files.", returncode=WRONG_USE)
        if not verify:
            check_place(file)
        try:
            manifest = backup.verify(file) if verify else backup.write(file, with_files=with_files)
        except backup.BackupError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{file} cannot be {'read' if verify else 'written'}: {error.strerror}.") from error
        self.stdout.write(summary(file, manifest))
        if gone := manifest["gone"]:
            self.stderr.write(
                f"{len(gone)} file(s) went away before they could be saved, such as {gone[0]}: their video was "
                "changed, archived or deleted meanwhile. Save again where that matters."
            )


def check_place(file: Path) -> None:
    place = file.resolve()
    if not place.parent.is_dir() or place.is_dir():
        raise CommandError(f"{file} cannot be written: name a file in a folder that exists.", returncode=WRONG_USE)
    folders = (settings.SOURCES_DIR, settings.MEDIA_DIR, settings.ARCHIVE_DIR)
    if any(place.is_relative_to(folder) for folder in folders):
        raise CommandError(f"{file} lies among the files that are saved. Choose another folder.", returncode=WRONG_USE)


def summary(file: Path, manifest: backup.Manifest) -> str:
    """Such as `vlog.zip: 24 tables and 1 200 files, 3.4 GB, of 2026-11-23T12:00:00+00:00`."""
    members = manifest["members"]
    files = sum(name.startswith("files/") for name in members)
    size = readable(sum(member["size"] for member in members.values()))
    return f"{file}: {len(members) - files} tables and {files} files, {size}, of {manifest['created_at']}"
