"""The weights of OpenAI's models: where they are, how they are fetched, and their hashes. Without torch."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

HOME = "https://openaipublic.azureedge.net/main/whisper/models"
PATIENCE = 30  # seconds without an answer
BLOCK = 1 << 20  # bytes
RESERVE = 64 << 20  # bytes that stay free on the disk
PART = ".part"  # ends the name of a file that is not complete yet
FETCH = "Fetch it again with manage.py whisper_model fetch {}."


class UnusableWeights(Exception):
    """The weights are not those of the model; the message says what to do."""


class UnreachableWeights(Exception):
    """The weights could not be fetched; the message says why."""


@dataclass(frozen=True)
class Model:
    """A model of OpenAI's. megabytes: of its file; memory: gigabytes that it needs, about."""

    name: str
    sha256: str
    megabytes: int
    memory: float
    home: str = HOME
    file: str = ""

    @property
    def file_name(self) -> str:
        return self.file or f"{self.name}.pt"

    @property
    def address(self) -> str:
        return f"{self.home}/{self.sha256}/{self.file_name}"

    def path(self, folder: Path) -> Path:
        return folder / self.file_name


LARGE_V3 = "e5b1a55b89c1367dacf97e3e19bfd829a01529dbfdeefa8caeb59b3f1b81dadb"
TURBO = "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a"
MODELS = {
    model.name: model
    for model in (
        Model("tiny", "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9", 76, 1),
        Model("tiny.en", "d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03", 76, 1),
        Model("base", "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e", 145, 1),
        Model("base.en", "25a8566e1d0c1e2231d1c762132cd20e0f96a85d16145c3a00adf5d1ac670ead", 145, 1),
        Model("small", "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794", 484, 2),
        Model("small.en", "f953ad0fd29cacd07d5a9eda5624af0f6bcf2258be67c92b79389873d91e0872", 484, 2),
        Model("medium", "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1", 1528, 5),
        Model("medium.en", "d7440d1dc186f76616474e0ff0b3b6b879abc9d1a4926b7adfa41db2d497ab4f", 1528, 5),
        Model("turbo", TURBO, 1618, 6, file="large-v3-turbo.pt"),
        Model("large-v3-turbo", TURBO, 1618, 6),
        Model("large-v1", "e4b87e7e0bf463eb8e6956e646f1e277e901512310def2c24bf0e11bd3c28e9a", 3087, 10),
        Model("large-v2", "81f7c96c852ee8fc832187b0132e569d6c3065a3252ed18e56effd0b6a73e524", 3087, 10),
        Model("large-v3", LARGE_V3, 3087, 10),
        Model("large", LARGE_V3, 3087, 10, file="large-v3.pt"),
    )
}


def check(model: Model, folder: Path) -> Path:
    """Return the file of a model whose hash is right. Raises FileNotFoundError and UnusableWeights."""
    path = model.path(folder)
    found = digest(path)
    if found != model.sha256:
        raise UnusableWeights(
            f"{path} is not the file of the model “{model.name}”: its SHA-256 is {found[:16]}…, and should be "
            f"{model.sha256[:16]}…. Delete it. {FETCH.format(model.name)}"
        )
    return path


def check_own(path: Path) -> None:
    """Compare a checkpoint of the operator's with the hash in the file `….sha256` beside it, where there is one.

    Raises UnusableWeights.
    """
    noted = path.with_name(f"{path.name}.sha256")
    if not noted.is_file():
        return
    wanted, found = noted.read_text(encoding="utf-8", errors="replace").split()[:1], digest(path)
    if wanted != [found]:
        raise UnusableWeights(f"{path} has the SHA-256 {found}, and {noted.name} says another. Copy the file again.")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(model: Model, folder: Path, report: Callable[[int, int], None] = lambda done, total: None) -> Path:
    """Fetch the weights of a model, unless they are there, and return their file.

    A fetch that was interrupted goes on where it ended. report gets the bytes that are there, and all. Raises
    UnreachableWeights, UnusableWeights, and OSError where the disk is full.
    """
    path = model.path(folder)
    if path.exists():
        return check(model, folder)
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + PART)
    with part.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # another process may be fetching them
        if path.exists():
            return check(model, folder)
        try:
            _fetch(model, file, folder, report)
        except (HTTPException, OSError) as error:
            if getattr(error, "errno", None) is not None and not isinstance(error, URLError | ConnectionError):
                raise
            raise UnreachableWeights(str(getattr(error, "reason", error) or "the connection broke")) from error
        if digest(part) != model.sha256:
            part.unlink()
            raise UnusableWeights(
                f"{model.address} has sent something else than the weights: the SHA-256 is wrong. It was deleted. "
                f"{FETCH.format(model.name)}"
            )
        part.rename(path)
    return path


def _fetch(model: Model, file: IO[bytes], folder: Path, report: Callable[[int, int], None]) -> None:
    """Fetch what a file lacks of the weights."""
    there = file.tell()
    request = Request(model.address, headers={"Range": f"bytes={there}-"} if there else {})  # noqa: S310 - of the table
    try:
        answer = urlopen(request, timeout=PATIENCE)  # noqa: S310 - likewise
    except HTTPError as error:
        error.close()
        if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # all of it was there
        raise
    with answer:
        if answer.status != HTTPStatus.PARTIAL_CONTENT:
            file.truncate(0)
            there = 0
        length = int(answer.headers.get("Content-Length") or 0)
        free = shutil.disk_usage(folder).free
        if free < length + RESERVE:
            raise UnreachableWeights(
                f"{folder} has {free >> 20} MB of free space, and the weights of “{model.name}” need {length >> 20} MB"
            )
        total = there + length
        while block := answer.read(BLOCK):
            file.write(block)
            there += len(block)
            report(there, total)
        file.flush()
        os.fsync(file.fileno())
    if length and there < total:
        raise ConnectionError(f"the connection ended after {there} of {total} bytes")
