"""Where each file of a video lies: the only builder of paths."""

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

OBJECTS = "videos.storage.objects.ObjectPath"  # imported only where it is used: the S3 client loads slowly
LANGUAGE = r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?"  # a folder of captions
# The file names of a package; any other address is a 404 without a look at the disk.
MEDIA_ADDRESS = re.compile(
    r"(?P<package>\d{1,10}-[0-9a-f]{32})/"
    r"(?P<name>(?:master\.m3u8|poster(?:-\d)?\.jpg|storyboard(?:-\d{3}\.jpg|\.vtt)"
    r"|" + MEDIA_KEY + r"/(?:init\.mp4|\d{5}\.m4s|index\.m3u8|iframes\.m3u8)"
    r"|" + CAPTIONS_KEY + r"(?:\.vtt|/(?:\d{5}\.vtt|index\.m3u8))"
    r"|captions/" + LANGUAGE + r"(?:\.vtt|/(?:\d{5}\.vtt|index\.m3u8))))"
)
QUALITY = re.compile(VIDEO_KEY)
# In sources, media and archive; the last form while a purge is running.
FOLDER_OF_VIDEO = re.compile(r"(\d{1,10})(?:-[0-9a-f]{32})?|purged-(\d{1,10})")
SAFE_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")


def is_elsewhere() -> bool:
    """Whether videos lie in an object store; this machine's disk then holds only uploads on their way there."""
    return "objects" in settings.STORAGES


def root() -> Path:
    """Return the folder that paths in rows and assignments are relative to."""
    return _location("", settings.DATA_DIR)


def sources() -> Path:
    """Return the folder of the originals."""
    return _location("sources", settings.SOURCES_DIR)


def packages() -> Path:
    """Return the folder of the packages, which is served to viewers."""
    return _location("media", settings.MEDIA_DIR)


def archives() -> Path:
    """Return the folder of archived files, which is never served."""
    return _location("archive", settings.ARCHIVE_DIR)


def _location(name: str, folder: Path) -> Path:
    return import_string(OBJECTS)(name) if is_elsewhere() else folder


def scratch() -> TemporaryDirectory[str]:
    """Return a temporary folder on this machine's disk; the sweep of old uploads removes it after a crash."""
    return TemporaryDirectory(dir=settings.UPLOADS_DIR, prefix="scratch-")


def written_here(size: int) -> int:
    """Return how many of a package's bytes are written to this machine's disk."""
    return 0 if is_elsewhere() else size


def reading(source: str) -> AbstractContextManager[Reading]:
    """Return a context in which ffmpeg can read the source that an assignment names."""
    return files.reading(root() / source)


def arrival_path(video: Video) -> Path:
    """Return where an uploaded original is put first: on this machine, below SOURCES_DIR."""
    return settings.SOURCES_DIR / str(video.pk) / _source_name(video)


def source_path(video: Video) -> Path:
    """Return the path of the original: of the editor's file name it keeps only a harmless suffix."""
    return sources() / str(video.pk) / _source_name(video)


def _source_name(video: Video) -> str:
    suffix = Path(video.source_name).suffix.lower()
    return "original" + (suffix if SAFE_SUFFIX.fullmatch(suffix) else "")


def chosen_poster_path(video: Video) -> Path:
    """Return the path of an editor's poster: beside the original, because re-encoding replaces the package."""
    return source_path(video).parent / "poster.jpg"


class HasPackage(Protocol):
    """The fields that determine where a video's package lies."""

    @property
    def pk(self) -> int: ...
    @property
    def media_key(self) -> str: ...


class HasPoster(HasPackage, Protocol):
    """The fields that determine the address of a video's poster."""

    @property
    def poster_version(self) -> int: ...


def package_name(video: Video | HasPackage) -> str:
    """Return the name of a package's folder, which contains the media key."""
    return f"{video.pk}-{video.media_key}"


def package_dir(video: Video) -> Path:
    """Return the folder with all files that viewers of the video may request."""
    return packages() / package_name(video)


def packages_of(video: Video) -> list[Path]:
    """Return the folders of a video's package: the one under the current key, and those left under earlier keys."""
    return sorted(packages().glob(f"{video.pk}-*"))


def package_keys() -> dict[int, set[str]]:
    """Return the media keys of all packages in the served folder, by the id of their video."""
    keys: dict[int, set[str]] = {}
    for name in files.names(packages()):
        number, _, key = name.partition("-")
        if number.isdigit() and key:
            keys.setdefault(int(number), set()).add(key)
    return keys


def has_row() -> Callable[[str], bool]:
    """Return a predicate: whether a folder of this name belongs to a video that has a row now."""
    known = {str(pk) for pk in Video.objects.values_list("pk", flat=True).iterator()}
    return lambda name: (match := FOLDER_OF_VIDEO.fullmatch(name)) is not None and (match[1] or match[2]) in known


def orphans() -> tuple[list[Path], list[Path]]:
    """Return the folders of videos that have no row, and entries whose names are not those of a video's folder."""
    folders = sources(), packages(), archives()
    entries = [(folder, name) for folder in folders for name in sorted(files.names(folder))]
    known = has_row()  # after the names are read, because a video's row is written before its folders
    unknown = [(folder / name, FOLDER_OF_VIDEO.fullmatch(name)) for folder, name in entries if not known(name)]
    return [path for path, match in unknown if match], [path for path, match in unknown if not match]


def archive_dir(video: Video) -> Path:
    """Return the folder of an archived video's files; nothing below it is ever served."""
    return archives() / str(video.pk)


def package_url(video: Video | HasPackage, name: str) -> str:
    """Return the address of one file of the package, such as `master.m3u8`."""
    return f"/media/{package_name(video)}/{name}"


def poster_url(video: Video | HasPoster) -> str:
    """Return the address of the poster. It changes with the poster, because browsers cache it for a long time."""
    version = f"?v={video.poster_version}" if video.poster_version else ""
    return package_url(video, "poster.jpg") + version


def storyboard_url(video: Video) -> str:
    """Return the address of the storyboard's WebVTT file; empty if the video has no storyboard."""
    try:
        found = find_media(f"{package_name(video)}/storyboard.vtt")
    except OSError:  # the page is useful without a storyboard
        found = None
    return package_url(video, "storyboard.vtt") if found else ""


def find_media(address: str) -> Path | None:
    """Return the file at an address below /media/, or None if there is no such file.

    No row is read: the media key is the permission, and it changes when a video is withdrawn.
    """
    match = MEDIA_ADDRESS.fullmatch(address)
    if match is None:
        return None
    path = files.fail_fast(packages() / match["package"] / match["name"])
    return path if path.is_file() else None
