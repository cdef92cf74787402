"""Reading large objects by ranges: as a file object for Python, and over the loopback for ffmpeg."""

import io
import os
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from transcoding.engine.contract import LeaseLost, ShuttingDown, Yield
from transcoding.engine.package.files import Reading
from transcoding.engine.source.loopback import Source, SourceServer
from videos.storage.bucket import fetch

BLOCK = 64 << 10  # bytes fetched at once: enough for the headers of most files
LONGEST_BLOCK = 1 << 20  # bytes, for sequential reading


class ObjectReader(io.RawIOBase):
    """A file object that fetches ranges of an object; each sequential read doubles the size of the next range."""

    def __init__(self, path: PurePosixPath, size: int) -> None:
        self._path, self._size = path, size
        self._position, self._start, self._block_size = 0, 0, BLOCK
        self._block = fetch(path, 0, min(size, BLOCK)) if size else b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        if self._position >= self._size:
            return 0
        end = self._start + len(self._block)
        if not self._start <= self._position < end:
            self._block_size = min(2 * self._block_size, LONGEST_BLOCK) if self._position == end else BLOCK
            self._start = self._position
            self._block = fetch(self._path, self._position, min(self._position + self._block_size, self._size))
        data = self._block[self._position - self._start :][: len(buffer)]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


class _StoredSource(Source):
    """A source in the store. The first failure is final: bytes after a gap must not look like the file."""

    fetch_errors = (OSError,)

    def __init__(self, path: PurePosixPath, size: int, tag: str) -> None:
        super().__init__(size, (str(path), tag))
        self._path = path
        self.error: OSError | None = None

    def fetch(self, start: int, end: int) -> bytes:
        self.check()
        try:
            return fetch(self._path, start, end)
        except OSError as error:
            self.error = error
            raise

    def check(self) -> None:
        if self.error is not None:
            raise self.error


@cache
def _server_of(process: int) -> SourceServer:
    return SourceServer()


class LoopbackReading:
    """A context in which ffmpeg can read an object at an address of this machine."""

    def __init__(self, path: PurePosixPath, size: int, tag: str) -> None:
        self._server, self._source = _server_of(os.getpid()), _StoredSource(path, size, tag)

    def __enter__(self) -> Reading:
        return Reading(self._server.serve(self._source), self._source.check)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._server.withdraw(self._source)
        if not isinstance(error, LeaseLost | Yield | ShuttingDown):
            self._source.check()  # the reason why the process that read it failed, too
