"""The source of a remote worker's piece: its ranges come from the site. No Django here."""

from collections.abc import Callable, Hashable

from transcoding.engine.contract import LeaseLost, ShuttingDown, Yield
from transcoding.engine.encode import EncodeError
from transcoding.engine.source.loopback import Source
from workers.agent.connection import Answer, Connection, Disabled, Refused, Unanswered


class RemoteSource(Source):
    """The source of one piece, by its byte ranges.

    check raises where the piece is over; judge is told what the site says of it, before ffmpeg sees an end.
    """

    over = (LeaseLost, Yield, ShuttingDown, Disabled, Refused, EncodeError)

    def __init__(  # noqa: PLR0913 - what a source is, and whom to ask and to tell
        self,
        connection: Connection,
        path: str,
        size: int,
        etag: str,
        same: Hashable,
        check: Callable[[], None],
        judge: Callable[[Exception], None],
    ) -> None:
        """same: equal for all pieces that have this source."""
        super().__init__(size, (same, size, etag))
        self._connection, self._path, self._etag = connection, path, etag
        self._check, self._judge = check, judge
        self._closed = False

    def close(self) -> None:
        self._closed = True
        self._connection.cut()

    def fetch(self, start: int, end: int) -> bytes:
        """Bytes of the source; what came before the network went away is not asked for again."""
        data = bytearray()
        try:
            while len(data) < end - start:
                self._connection.insist(lambda: self._ask(start, end, data), self._go_on)
        except self.over as error:
            self._judge(error)
            raise
        return bytes(data)

    def _ask(self, start: int, end: int, data: bytearray) -> None:
        asked = start + len(data)
        headers = {"Range": f"bytes={asked}-{end - 1}", "If-Range": self._etag}
        before = len(data)
        try:
            answer = self._connection.request("GET", self._path, headers=headers, into=data, check=self._go_on)
        except Unanswered:
            if len(data) == before:
                raise
            self._connection.close()  # something came: ask for the rest at once
            return
        if not self._is_wanted(answer, asked) or start + len(data) > end:
            raise EncodeError("The original has changed since this video was planned. Upload it as a new video.")
        if len(data) == before:
            raise Unanswered("its answer was empty")

    def _is_wanted(self, answer: Answer, asked: int) -> bool:
        return answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {asked}-")

    def _go_on(self) -> None:
        if self._closed:
            raise ShuttingDown
        self._check()
