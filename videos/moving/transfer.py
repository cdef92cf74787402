"""How a file gets here: as a copy, as a second name of the same file, or moved after it was verified."""

import errno
import filecmp
import os
import secrets
import shutil
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from transcoding.engine.package.files import UNFINISHED

Pairs = list[tuple[Path, Path]]


class Mode(StrEnum):
    COPY = "copy"
    HARDLINK = "hardlink"
    MOVE = "move"


def bring(pairs: Iterable[tuple[Path, Path]], mode: Mode) -> int:
    """Bring files from their old to their new places; returns their bytes. What is here already stays.

    Nothing changes in the old places: `remove` does that, after everything has been noted.
    """
    size = 0
    for old, new in pairs:
        size += old.stat().st_size
        if not (new.is_file() and new.stat().st_size == old.stat().st_size):
            new.parent.mkdir(parents=True, exist_ok=True)
            new.unlink(missing_ok=True)
            _bring(old.resolve(), new, mode)
    return size


def _bring(old: Path, new: Path, mode: Mode) -> None:
    if mode != Mode.COPY:
        try:
            new.hardlink_to(old)
            return
        except OSError as error:
            if mode == Mode.HARDLINK or error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                raise
    part = new.with_name(f".{new.name}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        shutil.copyfile(old, part)
        part.replace(new)
    finally:
        part.unlink(missing_ok=True)


def join(parts: Iterable[Path], new: Path) -> None:
    """Write files one after the other into a new one, which appears whole."""
    new.parent.mkdir(parents=True, exist_ok=True)
    part = new.with_name(f".{new.name}.{secrets.token_hex(4)}{UNFINISHED}")
    try:
        with part.open("wb") as out:
            for path in parts:
                with path.open("rb") as file:
                    shutil.copyfileobj(file, out, 1 << 20)
            out.flush()
            os.fsync(out.fileno())
        part.replace(new)
    finally:
        part.unlink(missing_ok=True)


def remove(pairs: Iterable[tuple[Path, Path]]) -> list[Path]:
    """Remove the old files whose new ones have the same content; returns those that stay, because theirs have not."""
    kept = []
    for old, new in pairs:
        if not old.exists():
            continue
        if new.is_file() and (old.samefile(new) or filecmp.cmp(old, new, shallow=False)):
            old.unlink()
        else:
            kept.append(old)
    return kept
