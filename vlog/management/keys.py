"""The options of `backup` and `restore` that name keys and passphrases. No option takes a secret itself."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from getpass import getpass
from pathlib import Path

from django.core.management.base import CommandError

from vlog import encryption

WRONG_USE = 2


def add_unlock_options(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="PATH",
        help="a file whose first line is the passphrase; without it the command asks, or reads its standard input",
    )
    parser.add_argument(
        "--identity-file", type=Path, metavar="PATH", help="the private key of a backup that was encrypted for a key"
    )


def lock(recipients: Sequence[str], passphrase_file: Path | None) -> encryption.Lock:
    """Return the lock of a new backup: of the public keys if there are any, else of a passphrase."""
    if not recipients:
        return encryption.for_passphrase(_passphrase(passphrase_file, twice=True))
    try:
        return encryption.for_public_keys(recipients)
    except encryption.EncryptionError as error:
        raise CommandError(str(error), returncode=WRONG_USE) from error


def unlock(file: Path, passphrase_file: Path | None, identity_file: Path | None) -> encryption.Unlock:
    """Return what opens a backup. Nothing is read or asked for before it is called, for an encrypted one."""

    def identities(key: bytes) -> list[encryption.Identity]:
        if identity_file:
            return _identities(identity_file)
        if not key:
            raise CommandError(
                f"{file} is encrypted for a public key: name the file of its private key with --identity-file.",
                returncode=WRONG_USE,
            )
        return encryption.with_passphrase(key, _passphrase(passphrase_file))

    return identities


def _identities(path: Path) -> list[encryption.Identity]:
    try:
        return encryption.parse_identities(_read(path))
    except encryption.EncryptionError as error:
        raise CommandError(f"{path} cannot be used as a key: {error}.", returncode=WRONG_USE) from error


def _passphrase(path: Path | None, *, twice: bool = False) -> str:
    if path:
        passphrase = _first_line(_read(path))
    elif sys.stdin.isatty():
        passphrase = getpass("Passphrase of the backup: ")
        if twice and getpass("Repeat the passphrase: ") != passphrase:
            raise CommandError("The two passphrases differ. Nothing was written.", returncode=WRONG_USE)
    else:
        passphrase = _first_line(sys.stdin.readline())
    if not passphrase:
        raise CommandError(
            f"The passphrase is empty: write it into {path or 'the standard input'}, or use --passphrase-file.",
            returncode=WRONG_USE,
        )
    return passphrase


def _first_line(text: str) -> str:
    return text.partition("\n")[0].strip()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise CommandError(f"{path} cannot be read: {reason}.", returncode=WRONG_USE) from error
