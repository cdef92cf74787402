"""What an import would do, before anything is written: files, space, time, and rows that refer to nothing."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from videos.archive import WARNED
from videos.moving.database import MovingError
from videos.moving.making import FILES
from videos.moving.move import Move
from videos.moving.old_files import OldStorage, OldVideo, UnsafePath
from videos.moving.transfer import Mode
from videos.storage import paths
from vlog import disk
from vlog.sentences import counted

COLUMNS = ("id", "slug", "deleted_at", "duration", "source_height")
# CPU seconds for a second of video, by the height of the source: about what the encoder of the settings takes.
COST = ((480, 0.5), (720, 1.2), (1080, 2.4), (1440, 4.5), (2160, 10.0))
SHOWN = 1000  # rows of one kind that refer to nothing
UNSAFE = 20  # names that are listed

DANGLING = """
SELECT c.{row}, c.{column} FROM {table} c
WHERE c.{column} IS NOT NULL AND NOT EXISTS (SELECT FROM {parent} p WHERE p.id = c.{column}) ORDER BY 1
"""


@dataclass
class Survey:
    """Bytes of the files by their kind; cpu_seconds: to encode everything anew."""

    videos: int = 0
    playing: int = 0
    waiting: int = 0
    size: Counter[str] = field(default_factory=Counter)
    cpu_seconds: float = 0.0
    unsafe: list[str] = field(default_factory=list)

    def count(self, row: Any, found: OldVideo) -> None:
        self.videos += 1
        self.playing += bool(found.shown)
        self.waiting += found.has_source and not found.shown
        self.size["originals"] += found.upload.stat().st_size if found.upload else 0
        if found.upload is None and found.copy_of_original is not None:
            self.size["joined originals"] += found.copy_of_original.size
        self.size["packages"] += sum(rendition.size for rendition in found.shown.values())
        if found.has_source:
            cost = next((cost for height, cost in COST if (row.source_height or 0) <= height), COST[-1][1])
            self.cpu_seconds += cost * max(0.0, row.duration or 0.0)

    @property
    def lines(self) -> list[str]:
        return [
            f"{self.videos:>10,} videos to bring; {self.playing:,} play at once, {self.waiting:,} are encoded first",
            *(f"{disk.readable(size):>10} {kind}" for kind, size in self.size.items() if size),
            f"{self.cpu_seconds / 3600:>10.1f} CPU hours to encode everything anew, while nothing else waits",
        ]


def files(move: Move, storage: OldStorage, mode: Mode) -> Survey:
    """Look at the files of all videos that are not here yet. Raises MovingError where the import cannot succeed."""
    survey = Survey()
    move.progress.begin("files are looked at", move.old.count("videos"))
    for rows in move.old.chunks("videos", COLUMNS):
        for row in move.left(FILES, rows):
            try:
                found = storage.look(row.id, row.slug, is_deleted=row.deleted_at is not None)
            except UnsafePath as error:
                survey.unsafe.append(f"videos {row.id}: {error}")
                continue
            survey.count(row, found)
            _tell_losses(move, row, found)
        move.progress.advance(len(rows))
    move.progress.end()
    if survey.unsafe:
        raise MovingError("Nothing was imported.\n" + "\n".join(survey.unsafe[:UNSAFE]))
    check_space(sum(survey.size.values()), survey.size["joined originals"], storage.root, mode)
    return survey


def _tell_losses(move: Move, row: Any, found: OldVideo) -> None:
    if not found.shown and not found.has_source:
        move.report.lose("videos", row.id, f"«{row.slug}» has neither a package nor an original: it cannot be played")
    elif not found.has_source:
        move.report.lose("videos", row.id, f"«{row.slug}» has no original: it plays, and cannot be encoded anew")
    for sentence in found.problems:
        move.report.lose("videos", row.id, sentence)


def check_space(size: int, joined: int, root: Path, mode: Mode) -> None:
    """Raise MovingError where the files do not fit, or cannot get a second name.

    size: bytes of all files; joined: of those that are written in any case. Of files for an object store, only what is
    joined is written here on its way.
    """
    targets = [_existing(folder) for folder in (settings.SOURCES_DIR, settings.MEDIA_DIR)]
    is_same = not paths.is_elsewhere() and all(target.stat().st_dev == root.stat().st_dev for target in targets)
    if mode == Mode.HARDLINK and not is_same:
        where = "VLog's are in an object store" if paths.is_elsewhere() else f"{root} is on another one than VLog's"
        raise MovingError(f"--hardlink needs both files on one file system, and {where}. Use --copy.")
    linked = paths.is_elsewhere() or (mode != Mode.COPY and is_same)
    needed = joined if linked else size
    free = disk.usage()
    if needed > free.available:
        raise MovingError(
            f"The files need {disk.readable(needed)}, and the disk of {free.folder} has "
            f"{disk.readable(free.available)} to spare. Free some space, or use --hardlink or --move "
            "on the same file system."
        )


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.exists())


def references(move: Move, references: tuple[tuple[str, str, str, str], ...]) -> None:
    """Tell the rows that refer to nothing."""
    for table, column, parent, loss in references:
        row = "id" if "id" in move.old.tables[table] else column
        query = DANGLING.format(row=row, table=table, column=column, parent=parent)
        with move.old.connection.cursor(f"dangling_{table}_{column}") as cursor:
            cursor.execute(query)
            found = cursor.fetchmany(SHOWN)
            for number, missing in found:
                move.report.lose(table, number, f"{loss}: {column} {missing} does not exist")
            if len(found) == SHOWN:
                move.report.note(f"{table}: more rows refer to nothing than the {SHOWN} that are listed")


def archive(move: Move) -> None:
    """Tell when archived videos are deleted permanently."""
    number = int(move.old.value("SELECT count(*) FROM videos WHERE deleted_at IS NOT NULL"))
    if number:
        move.report.note(
            f"{counted(number, 'archived video')}: deleted permanently {settings.ARCHIVE_RETENTION_DAYS} days after "
            f"they were archived, the first {WARNED.days} days after this import. To keep one, restore it."
        )
