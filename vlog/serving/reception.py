"""What has arrived of a request, and whether a thread can answer it without waiting for its client."""

import re

BUFFERED_BODY = 512 << 10  # bytes; settings.DATA_UPLOAD_MAX_MEMORY_SIZE is the same
MAX_HEAD = 64 << 10  # bytes; gunicorn refuses a longer one, and earlier than that most of its parts
END_OF_HEAD = b"\r\n\r\n"
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
EXPECTATION = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)


class Reception:
    """The bytes of one request, and of others that a client sends before it has the answer.

    This decides only how long the event loop waits. gunicorn parses the same bytes, and alone decides what they mean.
    """

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray()
        self.head: int | None = None  # bytes of the request line and the headers
        self.body = 0  # bytes to wait for
        self.is_streamed = False
        self.expects_continue = False
        self.add(data)

    def add(self, data: bytes) -> None:
        searched = max(0, len(self.data) - len(END_OF_HEAD) + 1)
        self.data += data
        if self.head is None and (end := self.data.find(END_OF_HEAD, searched)) >= 0:
            self.head = end + len(END_OF_HEAD)
            self._read_head(bytes(self.data[: self.head]))

    def is_complete(self) -> bool:
        """Return whether a thread can take the request: it has all it will read, or more than is waited for here."""
        if self.head is None:
            return len(self.data) > MAX_HEAD
        return len(self.data) >= self.head + self.body

    def _read_head(self, head: bytes) -> None:
        length = CONTENT_LENGTH.search(head)
        size = int(length[1]) if length else 0
        self.is_streamed = size > BUFFERED_BODY or bool(CHUNKED.search(head))
        if self.is_streamed:
            return
        self.body = size
        if size and (found := EXPECTATION.search(head)):
            # The event loop answers it before the body arrives, so gunicorn must not answer it afterwards.
            self.expects_continue = True
            del self.data[found.start() : found.end()]
            self.head = len(head) - (found.end() - found.start())
