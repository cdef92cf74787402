"""A manifest: a CSV or JSON file with a row for each file that is imported, and the fields of its video."""

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from videos.imports import details
from videos.imports.descriptions import as_json
from videos.imports.details import COLUMNS, Details, WrongDetails

MAX_BYTES, MAX_ROWS = 50 << 20, 100_000
FIRST = "file"
MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
REST = "\x00"  # the key of values without a column
SHOWN = 20  # mistakes in one message


class WrongManifest(ValueError):
    """The manifest cannot be used; the message has a line for each mistake."""


def read(path: Path) -> dict[str, Details]:
    """Return the details of each file, by its path below the folder. Raises WrongManifest, before anything is done."""
    found: dict[str, Details] = {}
    mistakes: list[str] = []
    for place, values in _rows(path):
        try:
            name = _name(values)
            if name in found:
                raise WrongDetails(f"{name} is in it twice.")
            found[name] = details.of_values(values)
        except WrongDetails as error:
            mistakes.append(f"{place}: {error}")
    if mistakes:
        more = [f"and {len(mistakes) - SHOWN} more"] if len(mistakes) > SHOWN else []
        raise WrongManifest("\n".join([f"{path.name} has mistakes:", *mistakes[:SHOWN], *more]))
    if not found:
        raise WrongManifest(f"{path.name} has no rows.")
    return found


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    data = _bytes(path)
    rows = _of_json(path, data) if path.suffix.lower() == ".json" else _of_csv(path, data)
    for number, row in enumerate(rows):
        if number >= MAX_ROWS:
            raise WrongManifest(f"{path.name} has more than {MAX_ROWS} rows: divide it.")
        yield row


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise WrongManifest(f"{path.name} is larger than {MAX_BYTES >> 20} MB: divide it.")
        return path.read_bytes()
    except OSError as error:
        raise WrongManifest(f"{path} cannot be read: {error.strerror}.") from error


def _of_json(path: Path, data: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        values = as_json(data)
    except WrongDetails as error:
        raise WrongManifest(f"{path.name} cannot be read. {error}") from error
    rows = values.get("videos") if isinstance(values, dict) else values
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise WrongManifest(f"{path.name} must be a list of objects, one for each file.")
    for number, row in enumerate(rows, start=1):
        _check_names(path, row, (FIRST, *COLUMNS, "chapters"))
        yield f"Object {number}", row


def _of_csv(path: Path, data: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    text = _decoded(path, data)
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, restkey=REST)
    try:
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        _check_names(path, names, (FIRST, *COLUMNS))
        if FIRST not in names or len(set(filter(None, names))) < len(list(filter(None, names))):
            raise WrongManifest(f"The first line of {path.name} must name each column once, and one must be {FIRST}.")
        reader.fieldnames = names
        for row in reader:
            if REST in row:
                raise WrongManifest(f"Line {reader.line_num} of {path.name} has more values than there are columns.")
            yield f"Line {reader.line_num}", {name: value for name, value in row.items() if name and value}
    except csv.Error as error:
        raise WrongManifest(f"Line {reader.line_num} of {path.name} is not CSV: {error}.") from error


def _decoded(path: Path, data: bytes) -> str:
    encoding = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise WrongManifest(
            f"{path.name} is not in UTF-8 (byte {error.start}). Save it as “CSV UTF-8”, then start again."
        ) from error


def _check_names(path: Path, given: Any, known: tuple[str, ...]) -> None:
    if unknown := sorted(set(given) - {*known, ""}):
        raise WrongManifest(f"{path.name} has an unknown column {unknown[0]!r}; known are {', '.join(known)}.")


def _name(values: Mapping[str, Any]) -> str:
    name = values.get(FIRST)
    if not isinstance(name, str) or not name.strip():
        raise WrongDetails(f"{FIRST} is missing.")
    path = PurePosixPath(name.strip().replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or "\x00" in name:
        raise WrongDetails(f"{name} is not a path below the folder.")
    return str(path)
