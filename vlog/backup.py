"""Backups: one file with the rows of the database and, on request, the files of the data folder.

    manifest.json             the format, the SHA-256 and size of every member, the state of the schema
    database/<table>          rows, in the text format of COPY
    files/<folder>/<path>     sources, media, archive
    files/secret-key

The file is an ordinary ZIP archive.
"""

import fcntl
import hashlib
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, transaction
from django.utils.module_loading import import_string

from vlog import disk, dump
from vlog.environment import folder

FORMAT = 1
MANIFEST = "manifest.json"
KEY = "secret-key"
BLOCK = 1 << 20
PASSES = 3  # over the folders: the next pass finds the files that were moved during the one before
HALF_WRITTEN = ".part"

Manifest = dict[str, Any]


class BackupError(Exception):
    """The backup cannot be written or restored; the message says why and what to do."""


def write(path: Path, *, with_files: bool) -> Manifest:
    """Write a backup and return its manifest. The file appears when it is complete. Raises BackupError, OSError.

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
            manifest = _write(file, with_files=with_files)
            file.flush()
            os.fsync(file.fileno())
            draft.rename(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    _sync_folder(path.parent)
    return manifest


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
    for parent in _folders():
        for entry in sorted(parent.iterdir()):
            if is_included(entry.name):
                yield from (path for path in _below(entry) if path.suffix != HALF_WRITTEN)
    yield from (path for path in [settings.DATA_DIR / KEY] if path.exists())


def _below(entry: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(entry):
        yield from (Path(parent, name) for name in sorted(names))


def _folders() -> tuple[Path, ...]:
    return settings.SOURCES_DIR, settings.MEDIA_DIR, settings.ARCHIVE_DIR


def _member(path: Path) -> str:
    return f"files/{path.relative_to(settings.DATA_DIR).as_posix()}"


def verify(path: Path) -> Manifest:
    """Compare every member with the manifest, and return the manifest. Raises BackupError."""
    with _open(path) as (archive, manifest):
        for name, expected in manifest["members"].items():
            if _checksum(archive, name) != expected:
                raise BackupError(f"{path} is damaged: {name} has changed since it was saved. Use another backup.")
    return manifest


def _checksum(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    for block in _blocks(archive, name):
        digest.update(block)
        size += len(block)
    return {"size": size, "sha256": digest.hexdigest()}


def _blocks(archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
    with archive.open(name) as member:
        while block := member.read(BLOCK):
            yield block


@contextmanager
def _open(path: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read(MANIFEST))
            _check(path, archive, manifest)
            yield archive, manifest
    except FileNotFoundError as error:
        raise BackupError(f"There is no file {path}.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, TypeError) as error:
        raise BackupError(f"{path} is not a backup of VLog, or it is damaged: {error}. Use another backup.") from error


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
    folders = {path.name for path in _folders()}
    return (
        (len(name.parts) == 2 and name.parts[0] == "database")
        or str(name) == f"files/{KEY}"
        or (len(name.parts) > 2 and name.parts[0] == "files" and name.parts[1] in folders)
    )


def restore(path: Path) -> Manifest:
    """Replace everything with the content of a backup, and return its manifest.

    If it raises BackupError, nothing has changed.

    The database changes in one transaction. The files are unpacked before it and exchanged by renames at its end. A
    process that is killed at that point leaves the old files in `restore/old`; the next restore starts by moving them
    back.
    """
    manifest = verify(path)
    state = [tuple(migration) for migration in manifest["database"]["migrations"]]
    if newer := dump.unknown(state):
        raise BackupError(
            f"{path} was written by a newer VLog (this one does not know the migration {newer[0]}). Update VLog first."
        )
    work = settings.DATA_DIR / "restore"
    _move_back(work / "old")
    shutil.rmtree(work, ignore_errors=True)
    try:
        with _open(path) as (archive, _):
            if manifest["files"]:
                _unpack(archive, manifest["members"], work / "new")
            with transaction.atomic(durable=True):
                _load(archive, manifest["database"], state)
                _exchange(work / "new", work / "old")
    except BaseException as error:
        _move_back(work / "old")
        shutil.rmtree(work, ignore_errors=True)
        if isinstance(error, DatabaseError | OSError):
            raise BackupError(f"The backup cannot be restored, and nothing was changed: {error}") from error
        raise
    cache.clear()
    _discard(work)
    return manifest


def reset() -> None:
    """Empty the database and the folders of files. The secret key stays."""
    work = settings.DATA_DIR / "restore"
    shutil.rmtree(work, ignore_errors=True)
    with transaction.atomic(durable=True):
        dump.rebuild()
        dump.migrate()
    work.mkdir(mode=0o700)
    for path in (*_folders(), settings.UPLOADS_DIR):
        path.rename(work / path.name)
        folder(path)
    cache.clear()
    _discard(work)


def is_restore_interrupted() -> bool:
    """Return whether a restore was killed while it exchanged the files. The next one moves them back first."""
    return (settings.DATA_DIR / "restore" / "old").exists()


def replaced_folders() -> list[Path]:
    """Return the folders that a restore or reset replaced and could not remove."""
    return sorted(settings.DATA_DIR.glob("restore-done-*"))


def _load(archive: zipfile.ZipFile, database: dict[str, Any], state: list[tuple[str, ...]]) -> None:
    dump.rebuild(state)  # type: ignore[arg-type]
    if {name: set(columns) for name, columns in dump.tables().items()} != {
        name: set(columns) for name, columns in database["tables"].items()
    }:
        raise BackupError(
            "The tables of the backup differ from those of its migrations: it is not of a database of VLog."
        )
    with dump.loading():
        for table, columns in database["tables"].items():
            dump.fill(table, columns, _blocks(archive, f"database/{table}"))
    dump.set_sequences(database["sequences"])
    dump.migrate()
    for name in settings.AFTER_RESTORE:
        import_string(name)()


def _unpack(archive: zipfile.ZipFile, members: dict[str, Any], target: Path) -> None:
    names = [name for name in members if name.startswith("files/")]
    needed, free = sum(members[name]["size"] for name in names), disk.usage().free
    if needed > free:
        raise BackupError(
            f"The files of the backup need {disk.readable(needed)} in addition to the present ones, and "
            f"{disk.readable(free)} is free. Free some space."
        )
    for path in _folders():
        folder(target / path.name)
    for name in names:
        path = target / PurePosixPath(name).relative_to("files")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.writelines(_blocks(archive, name))
        path.chmod(archive.getinfo(name).external_attr >> 16 & 0o777)
    os.sync()


def _exchange(new: Path, old: Path) -> None:
    if not new.is_dir():
        return
    old.mkdir()
    for entry in sorted(new.iterdir()):
        path = settings.DATA_DIR / entry.name
        if path.exists():
            path.rename(old / entry.name)
        entry.rename(path)


def _move_back(old: Path) -> None:
    for entry in old.iterdir() if old.is_dir() else ():
        path = settings.DATA_DIR / entry.name
        with suppress(FileNotFoundError):
            path.unlink() if path.is_file() else shutil.rmtree(path)
        entry.rename(path)


def _discard(work: Path) -> None:
    """Remove the replaced files. They are renamed first, so that no later restore moves them back."""
    if work.exists():
        replaced = work.with_name(f"{work.name}-done-{os.getpid()}")
        work.rename(replaced)
        shutil.rmtree(replaced, ignore_errors=True)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
