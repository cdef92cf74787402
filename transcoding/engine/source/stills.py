"""Recognises files that are pictures, and says what they are, for an editor who uploads one as a video."""

import re
from pathlib import Path

from transcoding.engine.ffmpeg.inputs import is_file
from transcoding.engine.source.packets import MediaError

HEAD = 1024  # bytes
KINDS = {
    "a JPEG picture": re.compile(rb"\xff\xd8\xff"),
    "an animated PNG picture": re.compile(rb"\x89PNG\r\n\x1a\n.*acTL", re.DOTALL),
    "a PNG picture": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "a WebP picture": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
    "a HEIF picture": re.compile(rb".{4}ftyp(?:hei[cxms]|hev[cmsx]|mif1|msf1)", re.DOTALL),
    "an AVIF picture": re.compile(rb".{4}ftypavi[fs]", re.DOTALL),
    "a TIFF picture": re.compile(rb"II\*\0|MM\0\*"),
    "a BMP picture": re.compile(rb"BM.{4}\0\0\0\0", re.DOTALL),
}


def kind_of(head: bytes) -> str:
    """Return what kind of picture a file is by its first bytes, with an article; empty where it is none."""
    return next((kind for kind, signature in KINDS.items() if signature.match(head)), "")


def refuse(source: str) -> None:
    """Raise MediaError if the source is a file that is a picture."""
    if not is_file(source):
        return
    with Path(source).open("rb") as file:
        kind = kind_of(file.read(HEAD))
    if kind:
        raise MediaError(
            f"This is {kind}, not a video. If it is to be the poster of a video, choose it in the form of that video. "
            "If it is an animation, export it as MP4 and upload that."
        )
