"""The agent as one file, `agent.pyz`: the modules of this project that it imports, and no others."""

import ast
import hashlib
import io
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from django.conf import settings

# The agent, and the program that it starts in a process of its own.
ROOTS = ("workers.agent.__main__", "transcoding.engine.speech.recognition")
SHEBANG = b"#!/usr/bin/env python3\n"
MAIN = 'import runpy\n\nrunpy.run_module("workers.agent", run_name="__main__", alter_sys=True)\n'
UNIX = 3  # the system in the entries, whatever makes them
TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # of every entry, so that the same sources always make the same bytes


@cache
def agent() -> bytes:
    """Return the content of `agent.pyz`, which each process makes once.

    It is a function of the sources alone. So the files are not compressed, which each release of zlib does differently.
    """
    files = {str(path.relative_to(settings.BASE_DIR)): path.read_text(encoding="utf-8") for path in sources(ROOTS)}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in sorted((files | {"__main__.py": MAIN}).items()):
            entry = zipfile.ZipInfo(name, TIMESTAMP)
            entry.create_system, entry.external_attr = UNIX, 0o644 << 16
            archive.writestr(entry, text)
    return SHEBANG + content.getvalue()


@cache
def digest() -> str:
    """Return the SHA-256 of `agent.pyz`, in hexadecimal."""
    return hashlib.sha256(agent()).hexdigest()


def sources(roots: tuple[str, ...]) -> set[Path]:
    """Return the files of modules and, recursively, of what they import from this project. Raises FileNotFoundError."""
    found: set[Path] = set()
    pending = [(root, _file(root)) for root in roots]
    while pending:
        module, path = pending.pop()
        if path is None:
            raise FileNotFoundError(f"the agent needs the module {module}, which is missing")
        if path not in found:
            found.add(path)
            pending += [(name, file) for name in _imports(module, path) if (file := _file(name)) is not None]
    return found


def _imports(module: str, path: Path) -> Iterator[str]:
    """Yield every imported name that may be a module, and the packages that contain this module."""
    yield from (module.rsplit(".", depth)[0] for depth in range(1, module.count(".") + 1))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file(module: str) -> Path | None:
    """Return the file of a module of this project, None for any other module."""
    path: Path = settings.BASE_DIR.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
