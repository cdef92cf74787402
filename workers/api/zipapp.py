"""The agent as one file: those modules of ours that it is made of, and nothing else."""

import ast
import io
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from django.conf import settings

# What runs: the agent, and what it starts in a process of its own.
ROOTS = ("workers.agent.__main__", "transcoding.engine.speech.recognition")
SHEBANG = b"#!/usr/bin/env python3\n"
MAIN = 'import runpy\n\nrunpy.run_module("workers.agent", run_name="__main__", alter_sys=True)\n'
MOMENT = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows: the same sources make the same bytes


@cache
def agent() -> bytes:
    """`agent.pyz`, made once by each process."""
    files = {str(path.relative_to(settings.BASE_DIR)): path.read_text() for path in sources(ROOTS)}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted((files | {"__main__.py": MAIN}).items()):
            entry = zipfile.ZipInfo(name, MOMENT)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text, zipfile.ZIP_DEFLATED)
    return SHEBANG + content.getvalue()


def sources(roots: tuple[str, ...]) -> set[Path]:
    """The files of these modules and of all of ours that they import, however deep; raises FileNotFoundError."""
    found: set[Path] = set()
    waiting = [(root, _file(root)) for root in roots]
    while waiting:
        module, path = waiting.pop()
        if path is None:
            raise FileNotFoundError(f"the agent needs the module {module}, which is not there")
        if path not in found:
            found.add(path)
            waiting += [(name, file) for name in _named(module, path) if (file := _file(name)) is not None]
    return found


def _named(module: str, path: Path) -> Iterator[str]:
    """Whatever could be a module among the names that one imports; the packages that it lies in, too."""
    yield from (module.rsplit(".", depth)[0] for depth in range(1, module.count(".") + 1))
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file(module: str) -> Path | None:
    """The file of a module of ours; None for those of others."""
    path: Path = settings.BASE_DIR.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)
