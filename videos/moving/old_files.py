"""The files of the original VLog: originals, packages of two layouts, pictures and captions.

    uploads/<id>.mp4                        the original
    videos/<slug>/720p.m3u8, 720p_0000.ts   a package of transport streams
    videos/<slug>/720p/stream.m3u8, init.mp4, seg_0000.m4s      one of fragmented MP4
    archive/<slug>/, archive/uploads/<id>.mp4                   both, of deleted videos

`original` is a rendition like the others: the file as it came, cut into segments.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from transcoding.engine.package import imported
from transcoding.engine.package.imported import CMAF, TS, BrokenPackage
from videos.moving.database import MovingError

EXTENSIONS = (".mp4", ".mkv", ".webm", ".mov", ".avi")
QUALITIES = ("360p", "480p", "720p", "1080p", "1440p", "2160p")
ORIGINAL = "original"
FOLDERS = ("videos", "uploads")
LARGEST_PLAYLIST = 16 << 20  # bytes


class UnsafePath(MovingError):
    """A name that leads out of the storage; the message says which."""


@dataclass(frozen=True)
class OldRendition:
    """The files of a rendition in their order, with the seconds of each; init is None of transport streams."""

    files: tuple[Path, ...]
    seconds: tuple[Fraction, ...]
    init: Path | None

    @property
    def parts(self) -> list[Path]:
        return [*([self.init] if self.init else []), *self.files]

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.parts)


@dataclass
class OldVideo:
    """What there is of a video. problems: what of it cannot be used, a sentence each."""

    upload: Path | None = None
    thumbnail: Path | None = None
    captions: Path | None = None
    layout: str = ""
    renditions: dict[str, OldRendition] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def copy_of_original(self) -> OldRendition | None:
        return self.renditions.get(ORIGINAL)

    @property
    def shown(self) -> dict[str, OldRendition]:
        """The renditions for viewers; the one of the original only if there is no other."""
        others = {key: found for key, found in self.renditions.items() if key != ORIGINAL}
        return others or self.renditions

    @property
    def has_source(self) -> bool:
        return self.upload is not None or self.copy_of_original is not None


class OldStorage:
    """The storage folder. Each name that is read lies in it: UnsafePath is raised where one does not."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise MovingError(f"There is no folder {root}: check --storage.")
        if not any((root / name).is_dir() for name in FOLDERS):
            raise MovingError(f"{root} has neither a folder videos nor a folder uploads: check --storage.")
        self.root = root.resolve()

    def look(self, number: int, slug: str, *, is_deleted: bool) -> OldVideo:
        """Return what there is of a video; nothing but names and playlists is read. Raises UnsafePath."""
        found = OldVideo()
        uploads = [self.root / "archive/uploads"] * is_deleted + [self.root / "uploads"]
        names = [folder / f"{number}{suffix}" for folder in uploads for suffix in EXTENSIONS]
        found.upload = next((path for path in names if self._is_file(path)), None)
        folders = [self.root / "archive" / plain(slug)] * is_deleted + [self.root / "videos" / plain(slug)]
        folder = next((each for each in folders if self._inside(each).is_dir()), None)
        if folder is not None:
            found.thumbnail = folder / "thumbnail.jpg" if self._is_file(folder / "thumbnail.jpg") else None
            found.captions = folder / "captions.vtt" if self._is_file(folder / "captions.vtt") else None
            self._read_package(folder, found)
        return found

    def _read_package(self, folder: Path, found: OldVideo) -> None:
        """Read the renditions of the newer layout, or else those of transport streams."""
        for layout in (CMAF, TS):
            for key in (*QUALITIES, ORIGINAL):
                playlist = folder / key / "stream.m3u8" if layout == CMAF else folder / f"{key}.m3u8"
                if self._is_file(playlist):
                    try:
                        found.renditions[key] = self._rendition(playlist, layout)
                    except BrokenPackage as error:
                        found.problems.append(f"its rendition {key} is left out: {error}")
            if found.shown:
                found.layout = layout
                return

    def _rendition(self, playlist: Path, layout: str) -> OldRendition:
        if playlist.stat().st_size > LARGEST_PLAYLIST:
            raise BrokenPackage("its playlist is too large")
        entries = imported.entries(playlist.read_text(errors="replace"))
        segments = [playlist.parent / name for _, name in entries]
        init = playlist.parent / "init.mp4" if layout == CMAF else None
        for path in [*([init] if init else []), *segments]:
            if not self._is_file(path):
                raise BrokenPackage(f"{path.name} is missing")
        return OldRendition(tuple(segments), tuple(length for length, _ in entries), init)

    def _is_file(self, path: Path) -> bool:
        return self._inside(path).is_file()

    def _inside(self, path: Path) -> Path:
        """Return the path, unless it is a link that leads out of the storage. Its folder was checked before."""
        if path.is_symlink() and not path.resolve().is_relative_to(self.root):
            raise UnsafePath(f"{path.relative_to(self.root)} is a link that leads out of the storage. Remove it first.")
        return path


def plain(name: str) -> str:
    """Return the name of a folder, which must be one. Raises UnsafePath."""
    if not name or "/" in name or "\0" in name or name.startswith("."):
        raise UnsafePath(f"{name!r} is the slug of a video, and no name of a folder. Correct it in the old database.")
    return name
