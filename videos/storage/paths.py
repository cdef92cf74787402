"""Where each file of a video lies: the only module that builds such paths."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from transcoding.engine.package import files
from transcoding.engine.package.files import Reading
from transcoding.engine.renditions import CAPTIONS_KEY, MEDIA_KEY, VIDEO_KEY
from videos.models import Video

OBJECTS = "videos.storage.objects.ObjectPath"  # imported where it is wanted only: the client for S3 takes long to load
LANGUAGE = r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?"  # a folder of captions
# The names of HLS.md's package; anything else in an address is a 404 before the disk is asked.
MEDIA_ADDRESS = re.compile(
    r"(?P<package>\d{1,10}-[0-9a-f]{32})/"
    r"(?P<name>(?:master\.m3u8|poster(?:-\d)?\.jpg|storyboard(?:-\d{3}\.jpg|\.vtt)"
    r"|" + MEDIA_KEY + r"/(?:init\.mp4|\d{5}\.m4s|index\.m3u8|iframes\.m3u8)"
    r"|" + CAPTIONS_KEY + r"(?:\.vtt|/(?:\d{5}\.vtt|index\.m3u8))"
    r"|captions/" + LANGUAGE + r"(?:\.vtt|/(?:\d{5}\.vtt|index\.m3u8))))"
)
QUALITY = re.compile(VIDEO_KEY)
# In sources, media and archive; the last while a purge is going on.
FOLDER_OF_VIDEO = re.compile(r"(\d{1,10})(?:-[0-9a-f]{32})?|purged-(\d{1,10})")
SAFE_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")


def is_elsewhere() -> bool:
    """Whether an object store has the videos, and this machine's disk only what is on its way there."""
    return "objects" in settings.STORAGES


def root() -> Path:
    """What the paths in rows and assignments are below."""
    return _place("", settings.DATA_DIR)


def sources() -> Path:
    return _place("sources", settings.SOURCES_DIR)


def packages() -> Path:
    """The folder of what is served."""
    return _place("media", settings.MEDIA_DIR)


def archives() -> Path:
    return _place("archive", settings.ARCHIVE_DIR)


def _place(name: str, folder: Path) -> Path:
    return import_string(OBJECTS)(name) if is_elsewhere() else folder


def scratch() -> TemporaryDirectory[str]:
    """A folder on this machine's disk for what is not kept; what a killed process leaves goes with old uploads."""
    return TemporaryDirectory(dir=settings.UPLOADS_DIR, prefix="scratch-")


def written_here(size: int) -> int:
    """How many of a package's bytes take room on this machine's disk."""
    return 0 if is_elsewhere() else size


def reading(source: str) -> AbstractContextManager[Reading]:
    """Have ffmpeg read what an assignment names as its source, as long as the block lasts."""
    return files.reading(root() / source)


def arrival_path(video: Video) -> Path:
    """Where the editor's original arrives: on this machine, below SOURCES_DIR."""
    return settings.SOURCES_DIR / str(video.pk) / _source_name(video)


def source_path(video: Video) -> Path:
    """The editor's original, under a name of ours: of theirs only a harmless suffix is kept."""
    return sources() / str(video.pk) / _source_name(video)


def _source_name(video: Video) -> str:
    suffix = Path(video.source_name).suffix.lower()
    return "original" + (suffix if SAFE_SUFFIX.fullmatch(suffix) else "")


def chosen_poster_path(video: Video) -> Path:
    """The poster that an editor chose: beside the original, because the package is made anew now and then."""
    return source_path(video).parent / "poster.jpg"


class Packaged(Protocol):
    """Whatever knows where a video's package lies."""

    @property
    def pk(self) -> int: ...
    @property
    def media_key(self) -> str: ...


class Pictured(Packaged, Protocol):
    """Whatever knows which poster a video has."""

    @property
    def poster_version(self) -> int: ...


def package_name(video: Video | Packaged) -> str:
    return f"{video.pk}-{video.media_key}"


def package_dir(video: Video) -> Path:
    """The folder with everything that viewers of the video get."""
    return packages() / package_name(video)


def packages_of(video: Video) -> list[Path]:
    """The folder that viewers get, and those under an old key if any is left."""
    return sorted(packages().glob(f"{video.pk}-*"))


def package_keys() -> dict[int, set[str]]:
    """The media keys of all packages that lie in the served folder, by video."""
    keys: dict[int, set[str]] = {}
    for name in files.names(packages()):
        number, _, key = name.partition("-")
        if number.isdigit() and key:
            keys.setdefault(int(number), set()).add(key)
    return keys


def belonging() -> Callable[[str], bool]:
    """Whether a folder of that name is of a video that has a row now."""
    known = {str(pk) for pk in Video.objects.values_list("pk", flat=True).iterator()}
    return lambda name: (match := FOLDER_OF_VIDEO.fullmatch(name)) is not None and (match[1] or match[2]) in known


def orphans() -> tuple[list[Path], list[Path]]:
    """Folders of videos that have no row, and whatever has a name that no video's folder has."""
    places = sources(), packages(), archives()
    entries = [(place, name) for place in places for name in sorted(files.names(place))]
    belongs = belonging()  # asked later: a row is there before its folders
    alone = [(place / name, FOLDER_OF_VIDEO.fullmatch(name)) for place, name in entries if not belongs(name)]
    return [path for path, is_folder in alone if is_folder], [path for path, is_folder in alone if not is_folder]


def archive_dir(video: Video) -> Path:
    """The folder of an archived video's files; nothing below it is ever served."""
    return archives() / str(video.pk)


def package_url(video: Video | Packaged, name: str) -> str:
    """The address of one file of the package, such as `master.m3u8`."""
    return f"/media/{package_name(video)}/{name}"


def poster_url(video: Video | Pictured) -> str:
    """The address of the poster, which is another one after each change: browsers keep what lies there."""
    version = f"?v={video.poster_version}" if video.poster_version else ""
    return package_url(video, "poster.jpg") + version


def storyboard_url(video: Video) -> str:
    """The address of the file that tells which tile shows which moment; empty where there is none."""
    try:
        there = find_media(f"{package_name(video)}/storyboard.vtt")
    except OSError:  # the page is of use without
        there = None
    return package_url(video, "storyboard.vtt") if there else ""


def find_media(address: str) -> Path | None:
    """The file behind an address below /media/, or None where there is none.

    No row is asked: the media key is the permission, and it changes when a video is withdrawn.
    """
    match = MEDIA_ADDRESS.fullmatch(address)
    if match is None:
        return None
    path = files.fail_fast(packages() / match["package"] / match["name"])
    return path if path.is_file() else None
