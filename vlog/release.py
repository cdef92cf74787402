"""Which release this is: a number for people, and a digest by which two installations are compared."""

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from vlog.environment import BASE_DIR

VERSION = "0.2.0.dev0"
PACKAGES = ("analytics", "transcoding", "videos", "vlog", "workers")


@cache
def name() -> str:
    """Return the release, such as `0.2.0 (5f0c2a9b)`; two with different code have different names."""
    return f"{VERSION} ({digest(BASE_DIR)})"


def digest(folder: Path) -> str:
    """Return eight hexadecimal digits of the SHA-256 of the code in a folder."""
    content = hashlib.sha256()
    for path in _sources(folder):
        code = path.read_bytes()
        content.update(f"{path.relative_to(folder)} {len(code)}\n".encode() + code)
    return content.hexdigest()[:8]


def _sources(folder: Path) -> Iterator[Path]:
    """Yield the modules of the apps, without tests, which an image does not contain."""
    for package in PACKAGES:
        yield from sorted(path for path in (folder / package).rglob("*.py") if "tests" not in path.parts)
