"""Backups: one file with the rows of the database and, on request, the files of the data folder.

    manifest.json             the format, the SHA-256 and size of every member, the state of the schema
    database/<table>          rows, in the text format of COPY
    files/<folder>/<path>     sources, media, archive
    files/secret-key

The file is an ordinary ZIP archive. vlog/encryption.py describes an encrypted one.
"""

import fcntl
import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from django.conf import settings
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Min
from django.utils import timezone
from django.utils.module_loading import import_string

from vlog import dump, encryption

FORMAT = 1
MANIFEST = "manifest.json"
KEY = "secret-key"
LAST = "last-backup"  # the file that says when the last backup was made
BLOCK = 1 << 20
PASSES = 3  # over the folders: the next pass finds the files that were moved during the one before
HALF_WRITTEN = ".part"

Manifest = dict[str, Any]


class BackupError(Exception):
    """The backup cannot be written or restored; the message says why and what to do."""


def write(path: Path, *, with_files: bool, lock: encryption.Lock | None = None) -> Manifest:
    """Write a backup and return its manifest. The file appears when it is complete. Raises BackupError, OSError.

    With a lock it is encrypted while it is written; nothing is stored in the clear.

    All rows are read in one snapshot. The files are those of the videos in that snapshot; `gone` lists those that
    disappeared before they could be read.
    """
    draft = path.with_name(path.name + HALF_WRITTEN)
    with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupError(f"Another backup is being written to {path}. Wait until it is complete.") from error
        try:
            os.fchmod(file.fileno(), 0o600)
            file.truncate()
            with encryption.encrypted(file, lock) if lock else nullcontext(file) as plain:
                manifest = _write(plain, with_files=with_files)
            file.flush()
            os.fsync(file.fileno())
            draft.rename(path)
        except BaseException as error:
            draft.unlink(missing_ok=True)
            if isinstance(error, encryption.EncryptionError):
                raise BackupError(f"{path} cannot be written: {error}.") from error
            raise
    _sync_folder(path.parent)
    (settings.DATA_DIR / LAST).write_text(manifest["created_at"])
    return manifest


def last() -> datetime | None:
    """Return when the last backup of this installation was made; None if none is known."""
    try:
        return datetime.fromisoformat((settings.DATA_DIR / LAST).read_text())
    except (FileNotFoundError, ValueError):
        return None


def installed_at() -> datetime:
    """Return when the first tables of the database were made."""
    first = MigrationRecorder.Migration.objects.aggregate(first=Min("applied"))["first"]
    return first or timezone.now()


def _write(file: Any, *, with_files: bool) -> Manifest:
    members: dict[str, dict[str, Any]] = {}
    manifest: Manifest = {"format": FORMAT, "created_at": datetime.now(UTC).isoformat(timespec="seconds")}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with dump.snapshot():
            tables = dump.tables()
            manifest["database"] = {"tables": tables, "migrations": dump.migrations()}
            for table, columns in tables.items():
                members[f"database/{table}"] = _add(archive, f"database/{table}", dump.rows(table, columns))
            is_included = import_string(settings.BACKUP_BELONGS)()
            # After the rows: sequences are not part of the snapshot, and must not be behind the rows.
            manifest["database"]["sequences"] = dump.sequences()
        manifest["files"] = with_files
        manifest["gone"] = _add_files(archive, members, is_included) if with_files else []
        manifest["members"] = members
        archive.writestr(MANIFEST, json.dumps(manifest, indent=1))
    return manifest


def _add(archive: zipfile.ZipFile, name: str | zipfile.ZipInfo, blocks: Iterable[bytes]) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    with archive.open(name, "w", force_zip64=True) as member:
        for block in _joined(blocks):
            digest.update(block)
            member.write(block)
            size += len(block)
    return {"size": size, "sha256": digest.hexdigest()}


def _joined(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in larger blocks."""
    buffer = bytearray()
    for block in blocks:
        buffer += block
        if len(buffer) >= BLOCK:
            yield bytes(buffer)
            buffer.clear()
    yield bytes(buffer)


def _add_files(archive: zipfile.ZipFile, members: dict[str, Any], is_included: Callable[[str], bool]) -> list[str]:
    """Add the files, and return the names of those that disappeared before they could be read."""
    gone: set[str] = set()
    for _ in range(PASSES):
        new = [file for file in _files(is_included) if _member(file) not in members and _member(file) not in gone]
        for file in new:
            try:
                members[_member(file)] = _add_file(archive, file)
            except FileNotFoundError:
                gone.add(_member(file))
        if not new:
            break
    return sorted(gone)


def _add_file(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        info = zipfile.ZipInfo(_member(path))  # not compressed: video would not become smaller
        info.external_attr = os.fstat(file.fileno()).st_mode << 16
        return _add(archive, info, iter(lambda: file.read(BLOCK), b""))


def _files(is_included: Callable[[str], bool]) -> Iterator[Path]:
    for parent in folders():
        for entry in sorted(parent.iterdir()):
            if is_included(entry.name):
                yield from (path for path in _below(entry) if path.suffix != HALF_WRITTEN)
    yield from (path for path in [settings.DATA_DIR / KEY] if path.exists())


def _below(entry: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(entry):
        yield from (Path(parent, name) for name in sorted(names))


def folders() -> tuple[Path, ...]:
    return settings.SOURCES_DIR, settings.MEDIA_DIR, settings.ARCHIVE_DIR


def _member(path: Path) -> str:
    return f"files/{path.relative_to(settings.DATA_DIR).as_posix()}"


def verify(path: Path, unlock: encryption.Unlock) -> Manifest:
    """Compare every member with the manifest, and return the manifest. Raises BackupError, OSError."""
    with opened(path, unlock) as (archive, manifest):
        compare(path, archive, manifest)
    return manifest


def compare(path: Path, archive: zipfile.ZipFile, manifest: Manifest) -> None:
    for name, expected in manifest["members"].items():
        if _checksum(archive, name) != expected:
            raise BackupError(f"{path} is damaged: {name} has changed since it was saved. Use another backup.")


def _checksum(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    for block in member_blocks(archive, name):
        digest.update(block)
        size += len(block)
    return {"size": size, "sha256": digest.hexdigest()}


def member_blocks(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    with archive.open(name) as member:
        while block := member.read(BLOCK):
            yield block


@contextmanager
def opened(path: Path, unlock: encryption.Unlock) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    """Yield the archive and its manifest. `unlock` is called if it is encrypted. Raises BackupError, OSError."""
    try:
        with _plain(path, unlock) as file, zipfile.ZipFile(file) as archive:
            manifest = json.loads(archive.read(MANIFEST))
            _check(path, archive, manifest)
            yield archive, manifest
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, TypeError) as error:
        raise BackupError(f"{path} is not a backup of VLog, or it is damaged: {error}. Use another backup.") from error


@contextmanager
def _plain(path: Path, unlock: encryption.Unlock) -> Iterator[IO[bytes]]:
    """Yield the file, or if it is encrypted, a decrypted copy. The copy has no name: it goes with this process."""
    with _open(path) as file:
        if not encryption.is_encrypted(file):
            yield file
            return
        with tempfile.TemporaryFile(dir=settings.DATA_DIR) as copy:
            try:
                encryption.decrypt(file, unlock, copy)
            except encryption.EncryptionError as error:
                raise BackupError(f"{path} cannot be decrypted: {error}.") from error
            yield copy


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise BackupError(f"There is no file {path}.") from error


def _check(path: Path, archive: zipfile.ZipFile, manifest: Manifest) -> None:
    if manifest["format"] != FORMAT:
        raise BackupError(
            f"{path} was written by another release of VLog, in a format that this release does not know."
        )
    if sorted(archive.namelist()) != sorted([*manifest["members"], MANIFEST]):
        raise BackupError(f"{path} is damaged: its content differs from its manifest. Use another backup.")
    outside = [name for name in manifest["members"] if not _is_safe(PurePosixPath(name))]
    if outside:
        raise BackupError(f"{path} is not a backup of VLog: it would write to {outside[0]!r}.")


def _is_safe(name: PurePosixPath) -> bool:
    if ".." in name.parts or "\\" in str(name):
        return False
    known = {path.name for path in folders()}
    return (
        (len(name.parts) == 2 and name.parts[0] == "database")
        or str(name) == f"files/{KEY}"
        or (len(name.parts) > 2 and name.parts[0] == "files" and name.parts[1] in known)
    )


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
