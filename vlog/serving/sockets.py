"""The sockets of the web server: a thread that answers never waits for a client that reads slowly."""

import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

STREAMED = 256 << 10  # bytes of a streamed answer that may be queued before its thread waits
FILE_BLOCK = 1 << 20  # bytes of a file that are sent at a time
TURN = 8 << 20  # bytes of one answer that are sent before other clients have their turn


@dataclass
class Allowance:
    """The seconds for which a client may keep the server waiting; what it transfers earns new ones.

    full: seconds without any byte. rate: bytes a second, the slowest transfer that can last.
    """

    full: float
    rate: float

    def __post_init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.left = self.full

    def spend(self, seconds: float) -> None:
        self.left -= seconds

    def earn(self, size: int) -> None:
        self.left = min(self.full, self.left + size / self.rate)


class Block:
    """Bytes in memory that are to be sent."""

    def __init__(self, data: bytes) -> None:
        self.rest = memoryview(data)

    @property
    def memory(self) -> int:
        return len(self.rest)

    def send(self, connection: socket.socket) -> int:
        """Send some bytes and return their number. Raises BlockingIOError."""
        sent = connection.send(self.rest)
        self.rest = self.rest[sent:]
        return sent

    def is_sent(self) -> bool:
        return not self.rest

    def close(self) -> None:
        self.rest.release()


class FilePart:
    """A part of an open file that is to be sent. It keeps the file open on its own."""

    memory = 0

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        self.descriptor, self.offset, self.end = os.dup(file.fileno()), offset, offset + size

    def send(self, connection: socket.socket) -> int:
        """Send some bytes and return their number. Raises BlockingIOError, and OSError if the file became shorter."""
        size = min(self.end - self.offset, FILE_BLOCK)
        sent = os.sendfile(connection.fileno(), self.descriptor, self.offset, size)
        if not sent:
            raise OSError("the file became shorter while it was sent")
        self.offset += sent
        return sent

    def is_sent(self) -> bool:
        return self.offset >= self.end

    def close(self) -> None:
        os.close(self.descriptor)


class Slice(Protocol):
    """Some bytes of a file, from an offset on."""

    @property
    def path(self) -> Path: ...
    @property
    def offset(self) -> int: ...
    @property
    def size(self) -> int: ...


Part = bytes | Slice


class Parts:
    """Parts that are to be sent one after the other. A file is opened when its turn comes, and closed after it."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self.rest = iter(parts)
        self.current: Block | FilePart | None = None
        self._advance()

    @property
    def memory(self) -> int:
        return self.current.memory if self.current else 0

    def send(self, connection: socket.socket) -> int:
        """Send some bytes and return their number. Raises BlockingIOError, and OSError if a file is gone."""
        if self.current is None:
            return 0
        sent = self.current.send(connection)
        if self.current.is_sent():
            self._advance()
        return sent

    def is_sent(self) -> bool:
        return self.current is None

    def close(self) -> None:
        if self.current:
            self.current.close()
        self.current, self.rest = None, iter(())

    def _advance(self) -> None:
        if self.current:
            self.current.close()
        part, self.current = next(self.rest, None), None
        if isinstance(part, bytes):
            self.current = Block(part)
        elif part is not None:
            with part.path.open("rb") as file:
                self.current = FilePart(file, part.offset, part.size)


class ClientSocket(socket.socket):
    """A connection that queues what its client does not take at once; `flush` sends the rest later.

    It never blocks, except in a thread that reads a large body (`stream_body`) or sends a streamed answer, and there
    no longer than the allowances say. slow_readers limits how many threads may wait for readers of such answers.
    """

    def __init__(self, accepted: socket.socket, reading: Allowance, sending: Allowance, slow_readers: Any) -> None:
        super().__init__(fileno=accepted.detach())
        super().setblocking(False)
        self.reading, self.sending, self.slow_readers = reading, sending, slow_readers
        self.stream_body = False  # whether a thread may wait for more of the request
        self.queue: deque[Block | FilePart | Parts] = deque()

    def setblocking(self, flag: bool) -> None:
        """Do nothing: gunicorn would switch to blocking mode before it gives the connection to a thread."""

    def settimeout(self, value: float | None) -> None:
        """Do nothing, as in `setblocking`."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return bytes of a large body, or no bytes after the end of what the event loop has read of a small one.

        Raises TimeoutError if the client sends too slowly.
        """
        if not self.stream_body:
            return b""
        while True:
            try:
                data = super().recv(size, flags)
            except BlockingIOError:
                self._wait(select.POLLIN, self.reading)
            else:
                self.reading.earn(len(data))
                return data

    def receive(self, size: int) -> bytes:
        """Return what has arrived, no bytes at the end. Raises BlockingIOError if there is nothing yet."""
        return super().recv(size)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send or queue the data. A stream waits before it queues more. Raises TimeoutError if the client is slow."""
        while self.queued > STREAMED:
            self._wait_for_reader()
            self.flush()
        self.queue.append(Block(data))
        self.flush()

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send or queue so many bytes of a file. The caller may close the file afterwards."""
        size = os.fstat(file.fileno()).st_size - offset if count is None else count
        self.queue.append(FilePart(file, offset, size))
        self.flush()
        return size

    def sendparts(self, parts: Iterable[Part]) -> None:
        """Send or queue bytes and parts of files, none of which may be empty."""
        self.queue.append(Parts(parts))
        self.flush()

    @property
    def queued(self) -> int:
        """The bytes in memory that are not sent yet."""
        return sum(part.memory for part in self.queue)

    def flush(self) -> bool:
        """Send what the client takes now, but no more than one turn, and return whether nothing is left."""
        turn = TURN
        try:
            while self.queue and turn > 0:
                sent = self.queue[0].send(self)
                self.sending.earn(sent)
                turn -= sent
                if self.queue[0].is_sent():
                    self.queue.popleft().close()
        except BlockingIOError:
            return False
        return not self.queue

    def close(self) -> None:
        while self.queue:
            self.queue.popleft().close()
        super().close()

    def _wait_for_reader(self) -> None:
        if not self.slow_readers.acquire(blocking=False):
            raise TimeoutError("too many clients read streamed answers slowly")
        try:
            self._wait(select.POLLOUT, self.sending)
        finally:
            self.slow_readers.release()

    def _wait(self, event: int, allowance: Allowance) -> None:
        poll, started = select.poll(), time.monotonic()
        poll.register(self, event)
        ready = poll.poll(max(0.0, allowance.left) * 1000)
        allowance.spend(time.monotonic() - started)
        if not ready:
            raise TimeoutError("the client is too slow")


def slow_readers(threads: int) -> threading.BoundedSemaphore:
    """Return the limit for the sockets of one process: half of its threads."""
    return threading.BoundedSemaphore(max(1, threads // 2))
