"""What a folder contains: the videos, the files that belong to each, and what is left out with its reason."""

import mimetypes
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from videos import sidecars
from videos.imports import descriptions

# Names that mimetypes does not know on every machine, or takes for something else.
MEDIA = {
    *(".mkv", ".mka", ".ts", ".mts", ".m2ts", ".mxf", ".webm", ".vob", ".flv", ".wmv", ".divx", ".ogv", ".ogm"),
    *(".m4v", ".m4a", ".3gp", ".dv", ".rm", ".rmvb", ".asf", ".f4v", ".mpg", ".mpeg", ".m2v", ".y4m", ".flac", ".opus"),
}
OUT = "it is a link out of the folder"


class Refused(Exception):
    """A file is not imported; the message says why."""


@dataclass(frozen=True)
class Entry:
    """A video file of a folder. name: its path below the folder; group: size and time of all that belongs to it."""

    path: Path
    root: Path
    name: str
    beside: tuple[Path, ...] = ()
    described: tuple[Path, ...] = ()
    group: tuple[tuple[str, int, int], ...] = field(default=(), compare=False)

    @property
    def folder(self) -> str:
        """Return the name of the folder it is in; empty for a file of the top folder."""
        return self.path.parent.name if self.path.parent != self.root else ""


@dataclass
class Contents:
    """The videos of a folder, in the order of their names, and sentences about what was left out."""

    entries: list[Entry] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    files: int = 0


def look(root: Path) -> Contents:
    """Return what a folder and those below it contain. Links to folders are not followed, hidden files are ignored."""
    found = Contents()

    def tell(error: OSError) -> None:
        found.left_out.append(f"{_below(root, str(error.filename))} cannot be read: {error.strerror}.")

    for parent, folders, names in os.walk(root, onerror=tell):
        for name in sorted(folders):
            if Path(parent, name).is_symlink():
                found.left_out.append(
                    f"{_below(root, str(Path(parent, name)))} was left out: it is a link to a folder."
                )
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shown = [name for name in names if not name.startswith(".")]
        found.files += len(shown)
        _look_in(root, Path(parent), shown, found)
    found.entries.sort(key=lambda entry: entry.name)
    return found


def find(root: Path, name: str) -> Entry:
    """Return the entry of one file of a folder, by its path below it. Raises Refused."""
    path = root / name
    for entry in contents_of(root, path.parent).entries:
        if entry.path == path:
            return entry
    raise Refused("It is not there any more, or is no video.")


def contents_of(root: Path, folder: Path, most: int | None = None) -> Contents:
    """Return what one folder contains, without those below it. most: files that are looked at. Raises Refused."""
    found = Contents()
    if not _is_inside(root, folder):
        raise Refused(f"{OUT[:1].upper()}{OUT[1:]}.")
    try:
        with os.scandir(folder) as entries:
            names = [each.name for each in islice((e for e in entries if not e.name.startswith(".")), most)]
    except OSError as error:
        raise Refused(f"The folder cannot be read: {error.strerror}.") from error
    found.files = len(names)
    _look_in(root, folder, [name for name in names if not (folder / name).is_dir()], found)
    found.entries.sort(key=lambda entry: entry.name)
    return found


def _look_in(root: Path, folder: Path, names: list[str], found: Contents) -> None:
    usable = []
    for name in sorted(names):
        if reason := _why_not(root, folder / name):
            found.left_out.append(f"{_below(root, str(folder / name))} was left out: {reason}.")
        else:
            usable.append(name)
    groups = sidecars.grouped(usable, belongs=_belongs)
    for name in groups.alone:
        found.left_out.append(
            f"{_below(root, str(folder / name))} was left out: it is no video, and there is none of its name."
        )
    for name, others in groups.videos.items():
        found.entries.append(_entry(root, folder, name, others))


def _entry(root: Path, folder: Path, name: str, others: tuple[str, ...]) -> Entry:
    return Entry(
        folder / name,
        root,
        _below(root, str(folder / name)),
        tuple(folder / each for each in others if sidecars.is_sidecar(each)),
        tuple(folder / each for each in others if not sidecars.is_sidecar(each)),
        tuple(_state(folder / each) for each in (name, *others)),
    )


def _state(path: Path) -> tuple[str, int, int]:
    try:
        status = path.stat()
    except OSError:  # it was removed at this moment
        return path.name, -1, 0
    return path.name, status.st_size, status.st_mtime_ns


def _belongs(name: str) -> bool:
    return sidecars.is_sidecar(name) or descriptions.is_one(name)


def is_media(name: str) -> bool:
    """Return whether a file of this name may be a video or a recording of sound."""
    kind = mimetypes.guess_type(name)[0] or ""
    return kind.startswith(("video/", "audio/")) or Path(name).suffix.lower() in MEDIA


def _why_not(root: Path, path: Path) -> str:
    """Return why a file of a folder is not imported; empty where it may be."""
    try:
        mode = path.stat().st_mode
        if path.is_symlink() and not _is_inside(root, path):
            return OUT
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    if not stat.S_ISREG(mode):
        return "it is no file"
    return "" if is_media(path.name) or _belongs(path.name) else "its name is not that of a video"


def _is_inside(root: Path, path: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _below(root: Path, path: str) -> str:
    """Return a path below the folder, as text that can be printed."""
    found = os.path.relpath(path, root).encode(errors="replace").decode()
    return "".join(sign if sign.isprintable() else "�" for sign in found)


@contextmanager
def opened(entry: Entry) -> Iterator[BinaryIO]:
    """Open a video file. Raises Refused where it cannot be read, or is no longer a file of the folder.

    What is opened is looked at, because the file may have been replaced by a link since.
    """
    try:
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"It cannot be read: {error.strerror}.") from error
    with os.fdopen(descriptor, "rb") as file:
        target = Path(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115 - as the kernel names it
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Refused("It is no file.")
        is_single = entry.root == entry.path
        if not is_single and not target.is_relative_to(os.path.realpath(entry.root)):
            raise Refused(f"{OUT[:1].upper()}{OUT[1:]}.")
        yield file


def single(path: Path) -> Entry:
    """Return the entry of one file that was named itself, whatever its name is."""
    return Entry(path, path, path.name, group=(_state(path),))
