"""How a backup replaces the database and the files, and how both are emptied."""

import os
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, transaction
from django.utils.module_loading import import_string

from vlog import backup, disk, dump
from vlog.backup import BackupError
from vlog.encryption import Unlock
from vlog.environment import folder


def restore(path: Path, unlock: Unlock) -> backup.Manifest:
    """Replace everything with the content of a backup, and return its manifest.

    If it raises BackupError, nothing has changed.

    The database changes in one transaction. The files are unpacked before it and exchanged by renames at its end. A
    process that is killed at that point leaves the old files in `restore/old`; the next restore starts by moving them
    back.
    """
    with backup.opened(path, unlock) as (archive, manifest):
        backup.compare(path, archive, manifest)
        _replace(path, archive, manifest)
    return manifest


def _replace(path: Path, archive: zipfile.ZipFile, manifest: backup.Manifest) -> None:
    state = [tuple(migration) for migration in manifest["database"]["migrations"]]
    if newer := dump.unknown(state):
        raise BackupError(
            f"{path} was written by a newer VLog (this one does not know the migration {newer[0]}). Update VLog first."
        )
    work = settings.DATA_DIR / "restore"
    _move_back(work / "old")
    shutil.rmtree(work, ignore_errors=True)
    try:
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


def reset() -> None:
    """Empty the database and the folders of files. The secret key stays."""
    work = settings.DATA_DIR / "restore"
    shutil.rmtree(work, ignore_errors=True)
    with transaction.atomic(durable=True):
        dump.rebuild()
        dump.migrate()
    work.mkdir(mode=0o700)
    for path in (*backup.folders(), settings.UPLOADS_DIR):
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
            dump.fill(table, columns, backup.member_blocks(archive, f"database/{table}"))
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
    for path in backup.folders():
        folder(target / path.name)
    for name in names:
        path = target / PurePosixPath(name).relative_to("files")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.writelines(backup.member_blocks(archive, name))
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
