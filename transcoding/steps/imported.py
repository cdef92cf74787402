"""Packages from other installations: their playlists here, and what is wrong with one."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from transcoding.engine.package import files, imported, playlists
from transcoding.engine.package.files import store
from transcoding.engine.package.imported import CMAF, HEAD, BrokenPackage, ImportedRendition
from transcoding.engine.plan.segments import TARGET
from transcoding.engine.timeline import Timeline
from videos.models import ImportedPackage
from videos.storage import paths

MILLISECONDS = Fraction(1, 1000)
WHOLE = 8 << 20  # bytes of a transport stream, in which the pictures of the first segment are counted


class Grid(NamedTuple):
    """The segments of captions for a package without a plan.

    first_time: when the first picture is shown, in ticks of the MPEG clock.
    """

    timeline: Timeline
    first_time: int


def read(folder: Path, layout: str) -> ImportedRendition:
    """Return a rendition of a package under the names of VLog. Raises BrokenPackage, OSError."""
    found = imported.entries((folder / "index.m3u8").read_text())
    segments = [folder / name for _, name in found]
    return measured(segments, [length for length, _ in found], folder / "init.mp4" if layout == CMAF else None)


def measured(segments: list[Path], seconds: list[Fraction], init: Path | None) -> ImportedRendition:
    """Return a rendition of these files; init: of fragmented MP4. Raises BrokenPackage, OSError."""
    sizes = [path.stat().st_size for path in segments]
    if not all(sizes):
        raise BrokenPackage(f"{segments[sizes.index(0)].name} is empty")
    with segments[0].open("rb") as file:
        first = file.read(HEAD if init else WHOLE)
    if init is None:
        return imported.read_ts(seconds, sizes, first)
    return imported.read_cmaf(seconds, sizes, init.read_bytes(), first)


def write_playlists(package: Path, layout: str, renditions: Mapping[str, ImportedRendition]) -> None:
    """Write the playlists of a package, the master playlist last."""
    for key, rendition in renditions.items():
        store(package / key / "index.m3u8", imported.media_playlist(layout, rendition.seconds).encode())
    variants = [imported.variant(key, rendition) for key, rendition in renditions.items()]
    store(package / "master.m3u8", playlists.master_playlist(variants).encode())


def grid(package: Path, layout: str) -> Grid:
    """Return the segments of captions for a package. Raises BrokenPackage, OSError."""
    key = next(iter(sorted(keys(package))))
    rendition = read(package / key, layout)
    end = round(rendition.duration / MILLISECONDS)
    return Grid(Timeline(MILLISECONDS, tuple(range(0, end, TARGET * 1000)), end), rendition.first_time)


def keys(package: Path) -> list[str]:
    """Return the names of the renditions of a package."""
    return [name for name in files.names(package) if paths.QUALITY.fullmatch(name)]


def problems(row: ImportedPackage, package: Path) -> Iterator[str]:
    """Yield what is wrong with a package, a sentence each."""
    if not (package / "master.m3u8").is_file():
        yield "master.m3u8 is missing"
    for key in keys(package):
        try:
            read(package / key, row.layout)
        except (BrokenPackage, OSError) as error:
            yield f"{key} cannot be played: {error}"
