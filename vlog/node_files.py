"""The files of node_modules that the site serves under /static/vendor/. They are listed, because packages are large."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.contrib.staticfiles.utils import matches_patterns
from django.core.checks import CheckMessage, Warning
from django.core.files.storage import FileSystemStorage, Storage

PREFIX = "vendor"

# The .map file of a script is needed if the script refers to it: the manifest storage follows the reference.
FILES = (
    "hls.js/dist/hls.min.js",
    "hls.js/dist/hls.min.js.map",
    "tus-js-client/dist/tus.min.js",
    "tus-js-client/dist/tus.min.js.map",
)


class NodeFilesFinder(BaseFinder):
    """Finds the existing files of FILES, so that a checkout without node_modules starts, too."""

    def __init__(self, *args: Any, root: Path | None = None, **kwargs: Any) -> None:
        self.root = root or settings.BASE_DIR / "node_modules"
        self.storage = FileSystemStorage(location=self.root)
        self.storage.prefix = PREFIX  # type: ignore[attr-defined]  # collectstatic reads it

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        # A container image has the collected files only.
        folders = (self.root, Path(settings.STATIC_ROOT) / PREFIX)
        missing = [name for name in FILES if not any((folder / name).is_file() for folder in folders)]
        if not missing:
            return []
        return [
            Warning(
                f"The player or uploads do not work: {len(missing)} of {len(FILES)} files are missing in {self.root}, "
                f"for example {missing[0]}.",
                hint="Run make setup.",
                id="vlog.W001",
            )
        ]

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        name = path.removeprefix(f"{PREFIX}/")
        found = name != path and name in FILES and (self.root / name).is_file()
        if not found:
            return []  # Django would take None for a result
        return [str(self.root / name)] if find_all else str(self.root / name)

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, Storage]]:
        for name in FILES:
            if (self.root / name).is_file() and not matches_patterns(name, ignore_patterns):
                yield name, self.storage
