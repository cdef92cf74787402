"""An import of many files: mistakes are reported before anything is written, then each file gets one sentence."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from transcoding.queue.disk_quota import InsufficientSpace
from videos.imports import names, originals
from videos.imports.details import Details
from videos.imports.folder import Entry, Refused
from videos.imports.taking import Known, Options, Taken, take
from videos.models import SourceFile, Video

FOLDERS = ("categories", "playlists")  # what folders become, where the operator asked for that
NO_LINK = (
    "The files are on another disk than the data folder, or belong to another user, so they cannot be linked: they are "
    "copied."
)


class WrongUse(Exception):
    """The import cannot begin as it was asked for; the message says what to change. Nothing was written."""


@dataclass
class Counts:
    imported: int = 0
    known: int = 0
    refused: int = 0
    left_out: int = 0

    def __str__(self) -> str:
        parts = (f"{self.imported} imported", f"{self.known} known", f"{self.refused} refused")
        return ", ".join([*parts, *([f"{self.left_out} left out"] if self.left_out else [])]) + "."


@dataclass
class Run:
    """One run of an import. given: what holds for every file; by_name: the rows of a manifest; folders: see FOLDERS."""

    say: Callable[[str], object]
    warn: Callable[[str], object]
    options: Options = field(default_factory=Options)
    given: Details = field(default_factory=Details)
    by_name: Mapping[str, Details] = field(default_factory=dict)
    folders: str = ""
    counts: Counts = field(default_factory=Counts)
    _copies: bool = False

    def details_of(self, entry: Entry) -> Details:
        """Return what is known of a video: by the command line, then by the manifest, then by its folder."""
        of_folder = Details()
        if entry.folder and self.folders == "categories":
            of_folder = Details(category=_printable(entry.folder))
        if entry.folder and self.folders == "playlists":
            of_folder = Details(playlists=(_printable(entry.folder),))
        return self.given.over(self.by_name.get(entry.name, Details())).over(of_folder)

    def prepare(self, entries: Collection[Entry]) -> None:
        """Create the categories and playlists that are missing, if that was asked for. Raises WrongUse."""
        every = [self.details_of(entry) for entry in entries]
        categories, playlists = names.missing(
            [each.category for each in every if each.category], [name for each in every for name in each.playlists]
        )
        if not categories and not playlists:
            return
        if not self.options.create:
            raise WrongUse(_missing(categories, playlists))
        if not self.options.dry_run:
            names.create(categories, playlists, self.given.visibility)

    def check_space(self, entries: Collection[Entry]) -> None:
        """Raise WrongUse where the files that are probably new do not fit on the disk."""
        links = self.options.link and all(originals.is_same_disk(entry.path) for entry in entries)
        sizes = {entry.name: entry.group[0][1] for entry in entries if entry.group}
        found = SourceFile.objects.filter(size__in=set(sizes.values())).values_list("size", flat=True)
        known = set() if self.options.again else set(found)
        total = sum(size for size in sizes.values() if size not in known)
        if not links and total and (reason := originals.space_for(total)):
            raise WrongUse(reason)

    def take_all(self, entries: Sequence[Entry]) -> list[Video]:
        """Import files, one after the other; returns the new videos."""
        found = []
        for entry in entries:
            try:
                taken = self.take(entry)
            except (Refused, InsufficientSpace) as error:
                self.refuse(entry, error)
                continue
            if taken is not None and taken.video is not None:
                found.append(taken.video)
        return found

    def take(self, entry: Entry, *, is_quiet: bool = False) -> Taken | None:
        """Import one file; None where it is known. is_quiet: say nothing of that. Raises Refused, InsufficientSpace."""
        try:
            taken = take(entry, self.details_of(entry), self.options)
        except Known as known:
            self.counts.known += 1
            if not is_quiet:
                self.say(f"Known: {entry.name} is {known}.")
            return None
        self.counts.imported += 1
        self._tell(entry, taken)
        return taken

    def _tell(self, entry: Entry, taken: Taken) -> None:
        beside = f", with {', '.join(taken.beside)}" if taken.beside else ""
        number = f" (video {taken.video.pk})" if taken.video else ""
        verb = "Imported" if taken.video else "Would import"
        self.say(f"{verb} {_printable(entry.name)}{beside} as «{taken.title}»{number}.")
        for note in taken.notes:
            self.warn(f"{_printable(entry.name)}: {note}")
        if taken.video and self.options.link and not taken.linked and not self._copies:
            self._copies = True
            self.warn(NO_LINK)

    def refuse(self, entry: Entry, error: Exception) -> None:
        self.counts.refused += 1
        self.warn(f"Refused {_printable(entry.name)}: {error}")


def _printable(name: str) -> str:
    found = name.encode(errors="replace").decode()
    return "".join(sign if sign.isprintable() else " " for sign in found)


def _missing(categories: Sequence[str], playlists: Sequence[str]) -> str:
    lines = []
    if categories:
        lines.append(f"There is no category {', '.join(repr(name) for name in categories[:20])}.")
    if playlists:
        lines.append(f"There is no playlist {', '.join(repr(name) for name in playlists[:20])}.")
    return " ".join([*lines, "Nothing was imported. --create creates what is missing."])
