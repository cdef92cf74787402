"""One file with all of VLog: the rows of the database, and where it is asked for, the files of the data folder.

    manifest.json             what the archive is and holds: SHA-256 and size of every member, the state of the schema
    database/<table>          rows as COPY writes them
    files/<folder>/<path>     sources, media, archive
    files/secret-key

It is a ZIP archive that any program for such files can open.
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
PASSES = 3  # through the folders: what was moved while the first one looked is found by the next
HALF_WRITTEN = ".part"

Manifest = dict[str, Any]


class BackupError(Exception):
    """A sentence for the operator: what is wrong and what to do."""


def write(path: Path, *, with_files: bool) -> Manifest:
    """Save everything in a file that is there only when it is complete; its manifest. Raises BackupError, OSError.

    The rows are those of one moment. The files are those of the videos that have a row then; `gone` lists those that
    went away before they could be read.
    """
    draft = path.with_name(path.name + HALF_WRITTEN)
    with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupError(f"Another backup is just being written to {path}. Wait for it.") from error
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
            belongs = import_string(settings.BACKUP_BELONGS)()
            # After the rows: a sequence knows no snapshot, and must not be behind them.
            manifest["database"]["sequences"] = dump.sequences()
        manifest["files"] = with_files
        manifest["gone"] = _add_files(archive, members, belongs) if with_files else []
        manifest["members"] = members
        archive.writestr(MANIFEST, json.dumps(manifest, indent=1))
    return manifest


def _add(archive: zipfile.ZipFile, name: str | zipfile.ZipInfo, blocks: Iterable[bytes]) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    with archive.open(name, "w", force_zip64=True) as member:
        for block in _gathered(blocks):
            digest.update(block)
            member.write(block)
            size += len(block)
    return {"size": size, "sha256": digest.hexdigest()}


def _gathered(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks that are worth a call."""
    buffer = bytearray()
    for block in blocks:
        buffer += block
        if len(buffer) >= BLOCK:
            yield bytes(buffer)
            buffer.clear()
    yield bytes(buffer)


def _add_files(archive: zipfile.ZipFile, members: dict[str, Any], belongs: Callable[[str], bool]) -> list[str]:
    """Returns the files that went away before they could be read."""
    gone: set[str] = set()
    for _ in range(PASSES):
        new = [file for file in _files(belongs) if _member(file) not in members and _member(file) not in gone]
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
        info = zipfile.ZipInfo(_member(path))  # stored as it is: video does not become smaller
        info.external_attr = os.fstat(file.fileno()).st_mode << 16
        return _add(archive, info, iter(lambda: file.read(BLOCK), b""))


def _files(belongs: Callable[[str], bool]) -> Iterator[Path]:
    for place in _folders():
        for entry in sorted(place.iterdir()):
            if belongs(entry.name):
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
    """Read every byte and hold it against the manifest, which is returned. Raises BackupError."""
    with _opened(path) as (archive, manifest):
        for name, told in manifest["members"].items():
            found = _sum(archive, name)
            if found != told:
                raise BackupError(f"{path} is damaged: {name} is not what was saved. Take another backup.")
    return manifest


def _sum(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
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
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, Manifest]]:
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read(MANIFEST))
            _check(path, archive, manifest)
            yield archive, manifest
    except FileNotFoundError as error:
        raise BackupError(f"There is no file {path}.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, TypeError) as error:
        raise BackupError(f"{path} is no backup of VLog, or it is damaged: {error}. Take another backup.") from error


def _check(path: Path, archive: zipfile.ZipFile, manifest: Manifest) -> None:
    if manifest["format"] != FORMAT:
        raise BackupError(f"{path} was written by another release of VLog, in a form that this one does not know.")
    if sorted(archive.namelist()) != sorted([*manifest["members"], MANIFEST]):
        raise BackupError(f"{path} is damaged: it does not hold what it says. Take another backup.")
    outside = [name for name in manifest["members"] if not _is_safe(PurePosixPath(name))]
    if outside:
        raise BackupError(f"{path} is no backup of VLog: it wants to write to {outside[0]!r}.")


def _is_safe(name: PurePosixPath) -> bool:
    if ".." in name.parts or "\\" in str(name):
        return False
    places = {place.name for place in _folders()}
    return (
        (len(name.parts) == 2 and name.parts[0] == "database")
        or str(name) == f"files/{KEY}"
        or (len(name.parts) > 2 and name.parts[0] == "files" and name.parts[1] in places)
    )


def restore(path: Path) -> Manifest:
    """Put the backup in the place of all that is there; its manifest. Raises BackupError; then nothing has changed.

    The database changes in one transaction. The files are unpacked beside the old ones before it and exchanged by
    renames at its end: a process that is killed just there leaves the old files in `restore/old`, from where the next
    restore takes them back first.
    """
    manifest = verify(path)
    state = [tuple(migration) for migration in manifest["database"]["migrations"]]
    if newer := dump.unknown(state):
        raise BackupError(f"{path} is of a newer VLog (this one does not know {newer[0]}). Update VLog first.")
    work = settings.DATA_DIR / "restore"
    _put_back(work / "old")
    shutil.rmtree(work, ignore_errors=True)
    try:
        with _opened(path) as (archive, _):
            if manifest["files"]:
                _unpack(archive, manifest["members"], work / "new")
            with transaction.atomic(durable=True):
                _load(archive, manifest["database"], state)
                _exchange(work / "new", work / "old")
    except BaseException as error:
        _put_back(work / "old")
        shutil.rmtree(work, ignore_errors=True)
        if isinstance(error, DatabaseError | OSError):
            raise BackupError(f"It cannot be restored, and nothing was changed: {error}") from error
        raise
    cache.clear()
    _discard(work)
    return manifest


def reset() -> None:
    """Empty the database and the folders of files; the secret key stays."""
    work = settings.DATA_DIR / "restore"
    shutil.rmtree(work, ignore_errors=True)
    with transaction.atomic(durable=True):
        dump.rebuild()
        dump.modernise()
    work.mkdir(mode=0o700)
    for place in (*_folders(), settings.UPLOADS_DIR):
        place.rename(work / place.name)
        folder(place)
    cache.clear()
    _discard(work)


def is_half_restored() -> bool:
    """Whether a restore was killed while it exchanged the files: the next one takes them back first."""
    return (settings.DATA_DIR / "restore" / "old").exists()


def rubbish() -> list[Path]:
    """Folders with what a restore or a reset replaced, and could not remove any more."""
    return sorted(settings.DATA_DIR.glob("restore-done-*"))


def _load(archive: zipfile.ZipFile, database: dict[str, Any], state: list[tuple[str, ...]]) -> None:
    dump.rebuild(state)  # type: ignore[arg-type]
    if {name: set(columns) for name, columns in dump.tables().items()} != {
        name: set(columns) for name, columns in database["tables"].items()
    }:
        raise BackupError("The backup has other tables than its migrations make: it is of another program's database.")
    with dump.loading():
        for table, columns in database["tables"].items():
            dump.fill(table, columns, _blocks(archive, f"database/{table}"))
    dump.go_on_from(database["sequences"])
    dump.modernise()
    for name in settings.AFTER_RESTORE:
        import_string(name)()


def _unpack(archive: zipfile.ZipFile, members: dict[str, Any], target: Path) -> None:
    names = [name for name in members if name.startswith("files/")]
    wanted, free = sum(members[name]["size"] for name in names), disk.usage().free
    if wanted > free:
        raise BackupError(
            f"The files of the backup need {disk.readable(wanted)} beside those that are there, and "
            f"{disk.readable(free)} are free. Free some room."
        )
    for place in _folders():
        folder(target / place.name)
    for name in names:
        place = target / PurePosixPath(name).relative_to("files")
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with place.open("wb") as file:
            file.writelines(_blocks(archive, name))
        place.chmod(archive.getinfo(name).external_attr >> 16 & 0o777)
    os.sync()


def _exchange(new: Path, old: Path) -> None:
    if not new.is_dir():
        return
    old.mkdir()
    for entry in sorted(new.iterdir()):
        place = settings.DATA_DIR / entry.name
        if place.exists():
            place.rename(old / entry.name)
        entry.rename(place)


def _put_back(old: Path) -> None:
    for entry in old.iterdir() if old.is_dir() else ():
        place = settings.DATA_DIR / entry.name
        with suppress(FileNotFoundError):
            place.unlink() if place.is_file() else shutil.rmtree(place)
        entry.rename(place)


def _discard(work: Path) -> None:
    """Remove what is not needed any more; under another name first, so that nobody takes it back."""
    if work.exists():
        rubbish = work.with_name(f"{work.name}-done-{os.getpid()}")
        work.rename(rubbish)
        shutil.rmtree(rubbish, ignore_errors=True)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
