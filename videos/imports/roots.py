"""The folders of the operator from which the desk imports: VLOG_IMPORT_FOLDERS. No other folder can be named."""

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.utils import timezone

from videos.imports.folder import Entry, contents_of, find
from videos.imports.taking import path_text
from videos.models import SourceFile
from vlog.disk import readable
from vlog.outbound import OutboundError

SCHEME = "folder://"
LOOKED_AT = 5000  # entries of a folder
LISTED = 500  # videos, and folders, of a page
UNKNOWN = "There is no folder of this name: VLOG_IMPORT_FOLDERS names those from which files may be imported."
OUTSIDE = "The address leads out of the folder."


@dataclass(frozen=True)
class Offered:
    """A video of a folder; is_known: a video was made of it."""

    name: str
    address: str
    size: int
    changed_at: datetime
    is_known: bool

    @property
    def bytes(self) -> str:
        return readable(self.size)


@dataclass(frozen=True)
class Place:
    """A folder, and its address."""

    name: str
    address: str


@dataclass
class Listing:
    """What one folder contains. left_out: sentences; is_cut: there is more than what is listed."""

    path: list[Place]
    folders: list[Place] = field(default_factory=list)
    videos: list[Offered] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    is_cut: bool = False


def located(address: str) -> tuple[Path, str]:
    """Return the folder of the operator that an address names, and the path below it. Raises OutboundError."""
    name, _, below = address.removeprefix(SCHEME).partition("/")
    root = settings.IMPORTS.folders.get(name)
    if root is None:
        raise OutboundError(UNKNOWN)
    parts = PurePosixPath(below).parts
    if ".." in parts or below.startswith("/") or "\0" in below:
        raise OutboundError(OUTSIDE)
    return root, "/".join(parts)


def entry(address: str) -> Entry:
    """Return the file at an address, with those that belong to it. Raises OutboundError, Refused."""
    return find(*located(address))


def tops() -> list[Place]:
    """Return the folders that the operator has named."""
    return [Place(name, f"{SCHEME}{name}") for name in settings.IMPORTS.folders]


def listing(address: str) -> Listing:
    """Return what a folder contains. Raises OutboundError, Refused."""
    root, below = located(address)
    names = [address.removeprefix(SCHEME).partition("/")[0], *PurePosixPath(below).parts]
    found = Listing([Place(name, SCHEME + "/".join(names[: n + 1])) for n, name in enumerate(names)])
    contents = contents_of(root, root / below, LOOKED_AT)
    top, folders = SCHEME + names[0], _folders(root / below)
    here = SCHEME + "/".join(names)
    found.folders = [Place(name, f"{here}/{name}") for name in folders[:LISTED]]
    found.videos = _offered(top, [each for each in contents.entries if _is_text(each.path.name)][:LISTED])
    unnamed = [each.name for each in contents.entries if not _is_text(each.path.name)]
    found.left_out = [
        *contents.left_out,
        *(f"{name} was left out: rename it, its name is no text." for name in unnamed),
    ]
    found.is_cut = max(len(folders), len(contents.entries)) > LISTED or contents.files >= LOOKED_AT
    return found


def _folders(folder: Path) -> list[str]:
    """Return the folders in a folder: no hidden ones, and no links."""
    with os.scandir(folder) as entries:
        found = [each.name for each in entries if each.is_dir(follow_symlinks=False) and not each.name.startswith(".")]
    return sorted(filter(_is_text, found))[: LISTED + 1]


def _offered(top: str, entries: list[Entry]) -> list[Offered]:
    """Return these files, with those marked of which a video was made."""
    paths = {each.name: path_text(each.path) for each in entries}
    rows = SourceFile.objects.filter(path__in=paths.values()).values_list("path", "size", "changed_ns")
    known = set(rows)
    found = []
    for each in entries:
        _name, size, changed_ns = each.group[0]
        changed_at = datetime.fromtimestamp(changed_ns // 10**9, timezone.get_current_timezone())
        is_known = (paths[each.name], size, changed_ns) in known
        found.append(Offered(each.path.name, f"{top}/{each.name}", size, changed_at, is_known))
    return found


def _is_text(name: str) -> bool:
    """Return whether a name can be part of an address: Python has surrogates for bytes that are no UTF-8."""
    return name.isprintable()
