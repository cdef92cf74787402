"""The storyboard: where its list is there, every sheet that it names is there too, and whole."""

import re
from collections.abc import Iterator
from pathlib import Path

NAME = "storyboard.vtt"
TILE = re.compile(r"^(storyboard-\d{3}\.jpg)#xywh=\d+,\d+,\d+,\d+$", re.MULTILINE)
JPEG_BEGINS, JPEG_ENDS = b"\xff\xd8", b"\xff\xd9"


def whole(package: Path) -> Iterator[str]:
    """What is wrong with it; nothing where there is none."""
    if not (package / NAME).is_file():
        return
    text = (package / NAME).read_bytes().decode("utf-8", "replace")
    names = dict.fromkeys(TILE.findall(text))
    if not text.startswith("WEBVTT\n") or not names:
        yield f"{NAME} names no pictures"
    for name in names:
        if not (package / name).is_file():
            yield f"{name} is missing"
        elif not _is_whole(package / name):
            yield f"{name} is not a whole picture"


def _is_whole(path: Path) -> bool:
    data = path.read_bytes()
    return data.startswith(JPEG_BEGINS) and data.endswith(JPEG_ENDS)
