"""Where each file of a video lies: the only builder of paths."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Protocol

from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.utils.module_loading import import_string

from transcoding.engine.package import files
from transcoding.engine.package.files import Reading
from transcoding.engine.renditions import CAPTIONS_KEY, MEDIA_KEY, VIDEO_KEY
from videos.models import Video

OBJECTS = "videos.storage.objects.ObjectPath"  # imported only where it is used: the S3 client loads slowly
LANGUAGE = r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})?"  # a folder of captions
# The file names of a package; any other address is a 404 without a look at the disk.
PACKAGE = r"(?P<package>\d{1,10}-[0-9a-f]{32})/"
GRANT = r"(?P<grant>[elp][0-9a-z]{1,16}\.[0-9A-Za-z]{1,12}\.[0-9A-Za-z_-]{43})/"  # videos.grants makes and checks it
NAME = (
    r"(?P<name>(?:master\.m3u8|poster(?:-\d)?\.jpg|storyboard(?:-\d{3}\.jpg|\.vtt)|chapters\.vtt"
    r"|" + MEDIA_KEY + r"/(?:init\.mp4|\d{5}\.(?:m4s|ts)|index\.m3u8|iframes\.m3u8)"
    r"|" + CAPTIONS_KEY + r"(?:\.vtt|/(?:\d{5}\.vtt|index\.m3u8))"
    r"|captions/" + LANGUAGE + r"(?:\.vtt|/(?:\d{5}\.vtt|index\.m3u8))))"
)
CHAPTERS = "chapters.vtt"
MEDIA_ADDRESS = re.compile(PACKAGE + NAME)
GRANTED_ADDRESS = re.compile(PACKAGE + GRANT + NAME)
QUALITY = re.compile(VIDEO_KEY)
# In sources, media and archive; the last form while a purge is running.
FOLDER_OF_VIDEO = re.compile(r"(\d{1,10})(?:-[0-9a-f]{32})?|purged-(\d{1,10})")
LINKS = "open"  # in the folder of the packages
# As JSON, because the backup before an upgrade is made of the tables of an earlier release, without these columns.
NUMBERS = "SELECT id, to_jsonb(videos) ->> 'package_number', to_jsonb(videos) ->> 'source_number' FROM videos"
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


def source_number(video: Video) -> int:
    """Return the number of the folder of a video's original."""
    return int(video.source_number or video.pk)


def package_number(video: "Video | HasPackage") -> int:
    """Return the number in the name of a video's package."""
    return int(video.package_number or video.pk)


def numbers(video: Video) -> set[int]:
    """Return the numbers under which a row has folders: those of its package and its original, and its own id."""
    return {video.pk, package_number(video), source_number(video)}


def arrival_path(video: Video) -> Path:
    """Return where an uploaded original is put first: on this machine, below SOURCES_DIR."""
    return settings.SOURCES_DIR / str(source_number(video)) / _source_name(video)


def is_unmoved(video: Video) -> bool:
    """Whether files of a finished video are still on this machine's disk, where `move_files` has yet to move them."""
    return is_elsewhere() and ((settings.MEDIA_DIR / package_name(video)).is_dir() or arrival_path(video).is_file())


def source_path(video: Video) -> Path:
    """Return the path of the original: of the editor's file name it keeps only a harmless suffix."""
    return sources() / str(source_number(video)) / _source_name(video)


def _source_name(video: Video) -> str:
    suffix = Path(video.source_name).suffix.lower()
    return "original" + (suffix if SAFE_SUFFIX.fullmatch(suffix) else "")


def original(video: Video) -> Path:
    """Return the path of the original where it is: in the archive, if the video is archived."""
    path = source_path(video)
    return archived_source(video) / path.name if video.deleted_at else path


def chosen_poster(video: Video) -> Path:
    """Return the path of an editor's poster where it is: in the archive, if the video is archived."""
    path = chosen_poster_path(video)
    return archives() / path.parent.name / "source" / path.name if video.deleted_at else path


def chosen_poster_path(video: Video) -> Path:
    """Return the path of an editor's poster: not in the package, because it stays with every version of the file."""
    return sources() / str(video.version_of_id or video.pk) / "poster.jpg"


class HasPackage(Protocol):
    """The fields that determine where a video's package lies."""

    @property
    def pk(self) -> int: ...
    @property
    def package_number(self) -> int | None: ...
    @property
    def media_key(self) -> str: ...
    @property
    def grant(self) -> str: ...


class HasPoster(HasPackage, Protocol):
    """The fields that determine the address of a video's poster."""

    @property
    def poster_version(self) -> int: ...


def package_name(video: Video | HasPackage) -> str:
    """Return the name of a package's folder, which contains the media key."""
    return f"{package_number(video)}-{video.media_key}"


def package_dir(video: Video) -> Path:
    """Return the folder with all files that viewers of the video may request."""
    return packages() / package_name(video)


def packages_of(video: Video) -> list[Path]:
    """Return the folders of a video's package: the one under the current key, and those left under earlier keys."""
    # Some object stores go on listing a folder for a while after its last file was deleted.
    return sorted(folder for folder in packages().glob(f"{package_number(video)}-*") if folder.exists())


def folders_of_packages() -> list[str]:
    """Return the names of all entries in the folder of the packages but the one of the links."""
    return [name for name in files.names(packages()) if name != LINKS]


def package_keys() -> dict[int, set[str]]:
    """Return the media keys of all packages in the served folder, by their numbers."""
    keys: dict[int, set[str]] = {}
    for name in folders_of_packages():
        number, _, key = name.partition("-")
        if number.isdigit() and key:
            keys.setdefault(int(number), set()).add(key)
    return keys


def has_row() -> Callable[[str], bool]:
    """Return a predicate: whether a folder of this name belongs to a video that has a row now."""
    with connection.cursor() as cursor:
        cursor.execute(NUMBERS)
        known = {str(number) for row in cursor.fetchall() for number in row if number}
    return lambda name: (match := FOLDER_OF_VIDEO.fullmatch(name)) is not None and (match[1] or match[2]) in known


def archived_source(video: Video) -> Path:
    """Return the folder of an archived video's original; nothing in the archive is ever served."""
    return archives() / str(source_number(video)) / "source"


def archived_package(video: Video) -> Path:
    """Return the folder of an archived video's package."""
    return archives() / str(package_number(video)) / "media"


def package_url(video: Video | HasPackage, name: str) -> str:
    """Return the address of one file of the package, such as `master.m3u8`, with the grant that the video carries."""
    return f"/media/{package_name(video)}/{video.grant and f'{video.grant}/'}{name}"


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


class MediaAddress(NamedTuple):
    """The parts of an address below /media/; the grant is empty without one."""

    package: str
    name: str
    grant: str = ""

    @property
    def file(self) -> str:
        return f"{self.package}/{self.name}"


def parse(address: str) -> MediaAddress | None:
    """Return the parts of an address below /media/, or None if no package has a file of such a name."""
    match = MEDIA_ADDRESS.fullmatch(address) or GRANTED_ADDRESS.fullmatch(address)
    return MediaAddress(**match.groupdict()) if match else None


def find_media(address: str) -> Path | None:
    """Return the file at an address below /media/ that has no grant, or None if there is no such file.

    Who may have the file is another question: videos.grants.
    """
    match = MEDIA_ADDRESS.fullmatch(address)
    if match is None:
        return None
    path = files.fail_fast(packages() / match["package"] / match["name"])
    return path if path.is_file() else None


# A link to a package says that everybody who has its address may have its files, as long as it has this key. It is a
# note that saves a look at the row, and lets nginx send these files by itself: the first request makes it, and nothing
# depends on it. A narrower visibility changes the key, and leaves an old link without a folder to point at.


def find_open(address: MediaAddress) -> Path | None:
    """Return a file of a package that is noted as open."""
    if address.grant or is_elsewhere():
        return None
    path = packages() / LINKS / address.package / address.name
    return path if path.is_file() else None


def note_open(video: Video) -> None:
    """Note that everybody who has the address may have the files of a package, unless that ends at a known moment."""
    if video.changes_at is None and not is_elsewhere():
        links = packages() / LINKS
        with suppress(OSError):  # a file system without links, or another request was first
            links.mkdir(exist_ok=True)
            (links / package_name(video)).symlink_to(Path("..", package_name(video)))


def forget_open(video_id: int) -> None:
    """Remove the notes about the packages of a video, with those of its other versions."""
    if not is_elsewhere():
        rows = Video.objects.filter(Q(pk=video_id) | Q(version_of=video_id))
        for number in {video_id, *(package_number(row) for row in rows.only("pk", "package_number"))}:
            for link in (packages() / LINKS).glob(f"{number}-*"):
                link.unlink(missing_ok=True)
