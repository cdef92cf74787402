"""How the files of a package are handed out: of which type each is, and for how long it may be kept."""

from pathlib import PurePath

FOREVER = "public, max-age=31536000, immutable"  # what lies at such an address never changes
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
    caching = REVALIDATE if path.suffix in REPLACED else FOREVER
    return {"Content-Type": TYPES.get(path.suffix, OTHER), "Cache-Control": caching}
