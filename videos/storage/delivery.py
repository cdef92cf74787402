"""HTTP headers for the files of a package: their types, and how long they may be cached."""

from pathlib import PurePath

FOREVER = "public, max-age=31536000, immutable"  # the content of such an address never changes
REVALIDATE = "no-cache"
TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
    ".jpg": "image/jpeg",
    ".vtt": "text/vtt; charset=utf-8",
}
OTHER = "application/octet-stream"
REPLACED = {".m3u8", ".vtt"}


def headers(path: PurePath) -> dict[str, str]:
    """Return the Content-Type and Cache-Control of a file by its suffix."""
    caching = REVALIDATE if path.suffix in REPLACED else FOREVER
    return {"Content-Type": TYPES.get(path.suffix, OTHER), "Cache-Control": caching}
