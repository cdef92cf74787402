"""The source of a remote worker's chunk, whose byte ranges are fetched from the site. No Django here."""

from collections.abc import Callable, Hashable

from transcoding.engine.contract import LeaseLost, ShuttingDown, Yield
from transcoding.engine.encode import EncodeError
from transcoding.engine.source.loopback import Source
from workers.agent.connection import Answer, Connection, Disabled, Refused, Unanswered


class RemoteSource(Source):
    """The source of one chunk, fetched by byte ranges.

    check raises if the chunk has ended. abort is called with the error that ends it before ffmpeg sees the end of the
    file, so that a failed download is not taken for a damaged source.
    """

    fetch_errors = (LeaseLost, Yield, ShuttingDown, Disabled, Refused, EncodeError)

    def __init__(  # noqa: PLR0913 - three facts of the file, where to fetch it, two callbacks
        self,
        connection: Connection,
        path: str,
        size: int,
        etag: str,
        same: Hashable,
        check: Callable[[], None],
        abort: Callable[[Exception], None],
    ) -> None:
        """same: equal for all chunks of this source."""
        super().__init__(size, (same, size, etag))
        self._connection, self._path, self._etag = connection, path, etag
        self._check, self._abort = check, abort
        self._closed = False

    def close(self) -> None:
        self._closed = True
        self._connection.interrupt()
        if self._lock.acquire(blocking=False):  # otherwise a thread is reading, and closes the connection itself
            self._connection.close()
            self._lock.release()

    def fetch(self, start: int, end: int) -> bytes:
        """Return bytes of the source. Bytes that arrived before the connection broke are not requested again."""
        data = bytearray()
        try:
            while len(data) < end - start:
                self._connection.retry(lambda: self._request(start, end, data), self._check_open)
        except self.fetch_errors as error:
            self._abort(error)
            raise
        finally:
            if self._closed:
                self._connection.close()
        return bytes(data)

    def _request(self, start: int, end: int, data: bytearray) -> None:
        begin = start + len(data)
        headers = {"Range": f"bytes={begin}-{end - 1}", "If-Range": self._etag}
        before = len(data)
        try:
            answer = self._connection.request("GET", self._path, headers=headers, into=data, check=self._check_open)
        except Unanswered:
            if len(data) == before:
                raise
            self._connection.close()  # part of it arrived: request the rest at once
            return
        if not self._is_range_from(answer, begin) or start + len(data) > end:
            raise EncodeError("The original has changed since this video was planned. Upload it as a new video.")
        if len(data) == before:
            raise Unanswered("its answer was empty")

    def _is_range_from(self, answer: Answer, begin: int) -> bool:
        return answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {begin}-")

    def _check_open(self) -> None:
        if self._closed:
            raise ShuttingDown
        self._check()
