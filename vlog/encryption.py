"""Encryption of backups with age (https://age-encryption.org), as a stream: neither side needs more than a few blocks.

An encrypted backup is a ZIP archive, not compressed, of

    backup.zip.age    the backup, encrypted for public keys
    key.age           with a passphrase only: the private key of backup.zip.age, encrypted with that passphrase

so that other programs can open it, too: `unzip`, then `age -d -i key.age backup.zip.age`.
"""

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

import pyrage

CONTENT = "backup.zip.age"
KEY = "key.age"

Identity = Any  # a private key of pyrage
# Returns the identities to try, given key.age, or b"" if there is none. Raises EncryptionError.
Unlock = Callable[[bytes], list[Identity]]


class EncryptionError(Exception):
    """A key or an encrypted backup cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Lock:
    """Who can open a backup: public keys of pyrage, and the content of key.age if a passphrase opens it."""

    recipients: list[Any]
    key: bytes = b""


def for_passphrase(passphrase: str) -> Lock:
    identity = pyrage.x25519.Identity.generate()
    return Lock([identity.to_public()], pyrage.passphrase.encrypt(f"{identity}\n".encode(), passphrase))


def for_public_keys(keys: Iterable[str]) -> Lock:
    """Parse public keys of age (`age1…`) or SSH (`ssh-ed25519 …`). Raises EncryptionError."""
    return Lock([_recipient(key) for key in keys])


def _recipient(key: str) -> Any:
    if key.startswith("AGE-SECRET-KEY-"):
        raise EncryptionError(
            "That is a private key, which must not be on a command line: make a new pair. Encrypt for its public key."
        )
    try:
        return (pyrage.ssh if key.startswith("ssh-") else pyrage.x25519).Recipient.from_str(key)
    except pyrage.RecipientError as error:
        raise EncryptionError(
            f"{key!r} is not a public key. Use one of age (age1…) or of SSH (ssh-ed25519 … or ssh-rsa …)."
        ) from error


def with_passphrase(key: bytes, passphrase: str) -> list[Identity]:
    """Decrypt key.age. Raises EncryptionError."""
    try:
        return [pyrage.x25519.Identity.from_str(pyrage.passphrase.decrypt(key, passphrase).decode().strip())]
    except (pyrage.DecryptError, pyrage.IdentityError, UnicodeDecodeError) as error:
        raise EncryptionError("the passphrase is wrong, or the file is damaged") from error


def parse_identities(text: str) -> list[Identity]:
    """Parse a file of age-keygen, or a private key of SSH without a passphrase. Raises EncryptionError."""
    try:
        if text.startswith("-----BEGIN"):
            return [pyrage.ssh.Identity.from_buffer(text.encode())]
        lines = [line.strip() for line in text.splitlines()]
        identities = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except pyrage.IdentityError as error:
        raise EncryptionError("it is not a private key of age or of SSH") from error
    if not identities:
        raise EncryptionError("there is no private key in it")
    return identities


@contextmanager
def encrypted(file: IO[bytes], lock: Lock) -> Iterator[IO[bytes]]:
    """Yield a file; what is written to it is stored encrypted in `file`. Raises EncryptionError, OSError."""
    with zipfile.ZipFile(file, "w") as archive:
        if lock.key:
            archive.writestr(KEY, lock.key)
        with archive.open(CONTENT, "w", force_zip64=True) as member, _pipe(member, lock.recipients) as plain:
            yield plain


@contextmanager
def _pipe(target: IO[bytes], recipients: list[Any]) -> Iterator[IO[bytes]]:
    """Encrypt in a thread, since pyrage reads its input itself and ZIP archives are written to a file."""
    source, sink = os.pipe()
    with os.fdopen(sink, "wb") as plain, ThreadPoolExecutor(1) as pool:
        done = pool.submit(_encrypt, os.fdopen(source, "rb"), target, recipients)
        try:
            yield plain
        except BrokenPipeError:
            done.result()  # the thread ended first, and knows the reason
            raise
        finally:
            with suppress(BrokenPipeError):
                plain.close()
        done.result()


def _encrypt(source: IO[bytes], target: IO[bytes], recipients: list[Any]) -> None:
    with source:
        try:
            pyrage.encrypt_io(source, target, recipients)
        except pyrage.EncryptError as error:
            raise EncryptionError(f"the encrypted backup cannot be written: {error}") from error


def is_encrypted(file: IO[bytes]) -> bool:
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(file) as archive:
        return CONTENT in archive.namelist()
    return False


def decrypt(file: IO[bytes], unlock: Unlock, target: IO[bytes]) -> None:
    """Decrypt an encrypted backup. Raises EncryptionError, OSError (the target)."""
    with zipfile.ZipFile(file) as archive:
        key = archive.read(KEY) if KEY in archive.namelist() else b""
        identities = unlock(key)
        try:
            with archive.open(CONTENT) as member:
                pyrage.decrypt_io(member, target, identities)
        except (pyrage.DecryptError, OSError) as error:
            if isinstance(error, OSError) and error.errno:
                raise
            mismatch = "" if key else "it is not encrypted for this key, or "
            raise EncryptionError(f"{mismatch}it is damaged ({error}). Use another backup or key") from error
