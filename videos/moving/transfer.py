"""How a file gets here: as a copy, as a second name of the same file, or moved after it was verified."""

import errno
import shutil
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from transcoding.engine.package import files
from videos.storage import paths

BLOCK = 1 << 20  # bytes

Pairs = list[tuple[Path, Path]]


class Mode(StrEnum):
    COPY = "copy"
    HARDLINK = "hardlink"
    MOVE = "move"


def bring(pairs: Iterable[tuple[Path, Path]], mode: Mode) -> int:
    """Bring files from their old to their new places; returns their bytes. What is here already stays.

    Nothing changes in the old places: `remove` does that, after everything has been noted.
    """
    old = {new: path for path, new in pairs}
    return sum(files.over(next(iter(old)), lambda new: _bring(old[new], new, mode), old)) if old else 0


def _bring(old: Path, new: Path, mode: Mode) -> int:
    size = old.stat().st_size
    is_here = new.is_file() and new.stat().st_size == size
    can_link = mode != Mode.COPY and not paths.is_elsewhere()
    if not is_here and not (can_link and _is_linked(old.resolve(), new, mode)):
        files.copy(new, old.resolve())
    return size


def _is_linked(old: Path, new: Path, mode: Mode) -> bool:
    """Give a file a second name; False where it has to be copied instead."""
    new.parent.mkdir(parents=True, exist_ok=True)
    new.unlink(missing_ok=True)
    try:
        new.hardlink_to(old)
    except OSError as error:
        if mode == Mode.HARDLINK or error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        return False
    return True


def join(parts: Iterable[Path], new: Path) -> None:
    """Write files one after the other into a new one, which appears whole."""
    with paths.scratch() as folder:
        joined = Path(folder) / new.name
        with joined.open("wb") as out:
            for path in parts:
                with path.open("rb") as file:
                    shutil.copyfileobj(file, out, BLOCK)
        files.copy(new, joined)


def remove(pairs: Iterable[tuple[Path, Path]]) -> list[Path]:
    """Remove the old files whose new ones have the same content; returns those that stay, because theirs have not."""
    kept = []
    for old, new in pairs:
        if not old.exists():
            continue
        if new.is_file() and _is_same(old, new):
            old.unlink()
        else:
            kept.append(old)
    return kept


def _is_same(old: Path, new: Path) -> bool:
    """Return whether two files have the same content; the new one may be in the object store."""
    if not paths.is_elsewhere() and old.samefile(new):
        return True
    if old.stat().st_size != new.stat().st_size:
        return False
    with old.open("rb") as one, new.open("rb") as other:
        while block := one.read(BLOCK):
            if block != other.read(len(block)):
                return False
    return True
