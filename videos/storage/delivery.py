"""HTTP headers for the files of a video: their types, their caching, and the names under which they are saved."""

import re
from pathlib import PurePath

from django.utils.http import content_disposition_header

FOREVER = "public, max-age=31536000, immutable"  # the content of such an address never changes
REVALIDATE = "no-cache"
CHECKED = "private, no-cache"  # each request is checked: a grant may have ended meanwhile
TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
    ".ts": "video/mp2t",
    ".jpg": "image/jpeg",
    ".vtt": "text/vtt; charset=utf-8",
}
OTHER = "application/octet-stream"
REPLACED = {".m3u8", ".vtt"}
# Not every file system takes these in a name; the last ones turn the direction of the text, which can hide a suffix.
NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\u200e\u200f\u202a-\u202e\u2066-\u2069]+')
LONGEST_NAME = 200  # bytes in UTF-8, without the suffix


def headers(path: PurePath, *, granted: bool = False) -> dict[str, str]:
    """Return the Content-Type and Cache-Control of a file by its suffix. granted: its address carries a grant."""
    caching = CHECKED if granted else REVALIDATE if path.suffix in REPLACED else FOREVER
    return {"Content-Type": TYPES.get(path.suffix, OTHER), "Cache-Control": caching}


def file_name(name: str, suffix: str) -> str:
    """Return a name for a file, of a text of any length and with any characters."""
    plain = " ".join(NOT_IN_NAMES.sub(" ", name).split()).strip(". ") or "video"
    return plain.encode(errors="ignore")[:LONGEST_NAME].decode(errors="ignore").strip() + suffix


def attachment(name: str) -> str:
    """Return the Content-Disposition with which browsers save a file under this name (RFC 6266)."""
    return content_disposition_header(True, name) or "attachment"
