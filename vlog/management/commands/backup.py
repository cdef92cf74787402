"""`manage.py backup FILE [--with-files] [--encrypt] [--verify]`"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import pluralize

from vlog import backup
from vlog.disk import readable
from vlog.management import keys
from vlog.management.keys import WRONG_USE


class Command(BaseCommand):
    help = (
        "Write the database, and with --with-files all videos, to one file. The site may keep running. "
        "Exit code 0: the backup is complete, 1: it failed, 2: wrong use."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="an existing file is replaced")
        parser.add_argument(
            "--with-files", action="store_true", help="include sources, packages, the archive and the secret key"
        )
        parser.add_argument("--verify", action="store_true", help="check FILE instead of writing it")
        parser.add_argument(
            "--encrypt", action="store_true", help="encrypt FILE with a passphrase, or for the keys of --recipient"
        )
        parser.add_argument(
            "--recipient",
            action="append",
            default=[],
            metavar="KEY",
            help="encrypt FILE for this public key of age or SSH; may be repeated",
        )
        keys.add_unlock_options(parser)

    def handle(self, *, file: Path, verify: bool, **options: Any) -> None:
        check_options(verify=verify, **options)
        try:
            manifest = read(file, **options) if verify else write(file, **options)
        except backup.BackupError as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(
                f"{file} cannot be {'read' if verify else 'written'}: {error.strerror or error}."
            ) from error
        self.stdout.write(summary(file, manifest))
        if gone := manifest["gone"]:
            self.stderr.write(
                f"{len(gone)} file{pluralize(len(gone))} disappeared before being saved, for example {gone[0]}: the "
                "video was changed, archived or deleted meanwhile. Run the backup again if you need them."
            )


def check_options(
    *, verify: bool, with_files: bool, encrypt: bool, recipient: list[str], passphrase_file: Path | None, **options: Any
) -> None:
    if verify and (with_files or encrypt or recipient):
        raise CommandError(
            "--verify cannot be combined with --with-files, --encrypt and --recipient: it checks whatever FILE is.",
            returncode=WRONG_USE,
        )
    if not verify and options["identity_file"]:
        raise CommandError(
            "--identity-file names a private key, which is for --verify and restore. Encrypt for its public key, "
            "with --recipient.",
            returncode=WRONG_USE,
        )
    if recipient and passphrase_file:
        raise CommandError("Choose either --recipient or --passphrase-file.", returncode=WRONG_USE)


def read(file: Path, passphrase_file: Path | None, identity_file: Path | None, **options: Any) -> backup.Manifest:
    return backup.verify(file, keys.unlock(file, passphrase_file, identity_file))


def write(
    file: Path, *, with_files: bool, encrypt: bool, recipient: list[str], passphrase_file: Path | None, **options: Any
) -> backup.Manifest:
    check_path(file)
    is_encrypted = encrypt or recipient or passphrase_file
    lock = keys.lock(recipient, passphrase_file) if is_encrypted else None
    return backup.write(file, with_files=with_files, lock=lock)


def check_path(file: Path) -> None:
    path = file.resolve()
    if not path.parent.is_dir() or path.is_dir():
        raise CommandError(f"{file} cannot be written: choose a file in an existing folder.", returncode=WRONG_USE)
    folders = (settings.SOURCES_DIR, settings.MEDIA_DIR, settings.ARCHIVE_DIR)
    if any(path.is_relative_to(folder) for folder in folders):
        raise CommandError(
            f"{file} is in a folder that is part of the backup. Choose another folder.", returncode=WRONG_USE
        )


def summary(file: Path, manifest: backup.Manifest) -> str:
    """Return a line such as `vlog.zip: 24 tables and 1200 files, 3.4 GB, of 2026-11-23T12:00:00+00:00`."""
    members = manifest["members"]
    files = sum(name.startswith("files/") for name in members)
    size = readable(sum(member["size"] for member in members.values()))
    return (
        f"{file}: {len(members) - files} tables and {files} file{pluralize(files)}, {size}, of {manifest['created_at']}"
    )
