"""gunicorn's threaded worker, in which the event loop does all the waiting for clients.

gunicorn gives a thread to a connection as soon as one byte has arrived, and keeps it there until the client has taken
the last byte of the answer: as many slow clients as there are threads stop the site. Here a thread gets a request when
it is complete, and gives the rest of the answer back to the event loop. Only bodies too large for memory are read in a
thread, in half of the threads at most.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from socket import SHUT_WR, socket
from typing import Any

from django.conf import settings
from gunicorn import http  # type: ignore[import-untyped]
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker  # type: ignore[import-untyped]

from vlog.clients import client_of
from vlog.serving.limits import Limits
from vlog.serving.reception import Reception
from vlog.serving.sockets import Allowance, ClientSocket, slow_readers

READ_BLOCK = 64 << 10  # bytes
SWEEP_SECONDS = 0.5
HELD_SECONDS = 30.0  # for which a large body waits for one of the threads that read those
LINGER_SECONDS = 2.0  # for a client that still sends, so that it reads the answer instead of an error
LINGER_BYTES = 1 << 20
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ROOM = 0.9  # of the connections that a process may have; above that, idle ones are closed


def refusal(status: str, sentence: str, *headers: str) -> bytes:
    """Return a whole answer, after which the connection is closed."""
    body = f"{sentence}\n".encode()
    lines = (
        f"HTTP/1.1 {status}",
        "Connection: close",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        *headers,
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


TOO_SLOW = refusal("408 Request Timeout", "The request arrived too slowly. Send it again.")
TOO_MANY = refusal(
    "503 Service Unavailable", "Your address has too many connections. Close some, then try again.", "Retry-After: 10"
)
TOO_BUSY = refusal(
    "503 Service Unavailable", "The site receives as many uploads as it can. Send this one again.", "Retry-After: 30"
)


class Connection(TConn):
    """A connection with its reception, and with the moment at which the event loop stops waiting for it."""

    def __init__(self, cfg: Any, sock: ClientSocket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.parser = http.get_parser(cfg, sock, client)
        self.initialized = True
        peer = client[0] if isinstance(client, tuple) else ""
        self.address = client_of(peer)
        self.is_proxy = peer in settings.TRUSTED_PROXIES
        self.reception = Reception()
        self.deadline = float("inf")
        self.watched = False  # whether the event loop has a step to run for it
        self.keep = False
        self.refusal = b""
        self.left = False  # the client has sent its last byte
        self.discarded = 0


class PatientWorker(ThreadWorker):
    """The worker class that `vlog.webserver` names."""

    def init_process(self) -> None:
        self.limits = Limits.of_settings()
        self.timed: set[Connection] = set()  # that the event loop waits for
        self.addresses: Counter[str] = Counter()
        self.held: deque[Connection] = deque()  # with large bodies that no thread reads yet
        self.streams = 0  # threads that read large bodies
        self.slow_readers = slow_readers(self.cfg.threads)
        self.swept = 0.0
        super().init_process()

    # --- connections ---

    def accept(self, listener: Any) -> None:
        """Accept a connection, and wait for its first request."""
        try:
            accepted, client = listener.accept()
        except OSError:
            return  # another process was faster, or the client has left
        self.nr_conns += 1
        conn = self._connection(accepted, client, listener.getsockname())
        self.addresses[conn.address] += 1
        if self.nr_conns > ROOM * self.worker_connections and self.keepalived_conns:
            self._close(self.keepalived_conns.popleft())
        if self.addresses[conn.address] > self.limits.each and conn.address and not conn.is_proxy:
            self._refuse(conn, TOO_MANY)
        else:
            self._receive(conn)

    def _connection(self, accepted: socket, client: Any, server: Any) -> Connection:
        reading, sending = (Allowance(self.limits.silence, self.limits.rate) for _ in range(2))
        sock = ClientSocket(accepted, reading, sending, self.slow_readers)
        return Connection(self.cfg, sock, client, server)

    def _close(self, conn: Connection) -> None:
        self._unwatch(conn)
        self.timed.discard(conn)
        self.nr_conns -= 1
        self.addresses[conn.address] -= 1
        if not self.addresses[conn.address]:
            del self.addresses[conn.address]
        conn.sock.close()

    def _watch(self, conn: Connection, events: int, step: Callable[[Connection], None]) -> None:
        """Let the event loop run this step of the connection at such events, in place of any other."""
        change = self.poller.modify if conn.watched else self.poller.register
        change(conn.sock, events, partial(self._call, step, conn))
        conn.watched = True

    def _unwatch(self, conn: Connection) -> None:
        if conn.watched:
            self.poller.unregister(conn.sock)
        conn.watched = False

    def _call(self, step: Callable[[Connection], None], conn: Connection, _fileobj: Any = None) -> None:
        """Run a step of a connection. A connection that fails is closed."""
        try:
            step(conn)
        except OSError:
            self._close(conn)

    def _wait(self, conn: Connection, seconds: float) -> None:
        conn.deadline = time.monotonic() + seconds
        self.timed.add(conn)

    def _refuse(self, conn: Connection, answer: bytes) -> None:
        """Send this answer instead of what was asked for, and end the connection."""
        conn.keep, conn.refusal = False, answer
        conn.reception = Reception()
        self._call(self._send_refusal, conn)

    def _send_refusal(self, conn: Connection) -> None:
        conn.sock.sendall(conn.refusal)
        self._send(conn)

    # --- requests ---

    def _idle(self, conn: Connection) -> None:
        """Wait for a request, as long as for the next one on a connection that is kept."""
        self.timed.discard(conn)
        conn.set_timeout()
        if not self.alive:
            conn.timeout = min(conn.timeout, time.monotonic() + STOP_KEEPALIVE_LINGER)
        self.keepalived_conns.append(conn)
        self._watch(conn, EVENT_READ, self._wake)

    def _wake(self, conn: Connection) -> None:
        self.keepalived_conns.remove(conn)
        self._receive(conn)

    def _receive(self, conn: Connection) -> None:
        """Read what has arrived of a request, and give it to a thread when it is complete."""
        try:
            data = conn.sock.receive(READ_BLOCK)
        except BlockingIOError:
            data = None
        conn.left = data == b""
        before, had_head = len(conn.reception.data), conn.reception.head is not None
        conn.reception.add(data or b"")
        if not before and not data:
            self._close(conn) if conn.left else self._idle(conn)
            return
        self._proceed(conn, begins=not before, head_arrived=not had_head and conn.reception.head is not None)

    def _proceed(self, conn: Connection, *, begins: bool, head_arrived: bool) -> None:
        if conn.reception.is_complete():
            self._dispatch(conn)
        elif conn.left:
            self._close(conn)
        else:
            if begins:
                self._wait(conn, self.limits.head)
            if head_arrived:
                self._wait(conn, self.limits.silence + conn.reception.body / self.limits.rate)
            if head_arrived and conn.reception.expects_continue:
                conn.sock.sendall(CONTINUE)
            self._watch(conn, EVENT_READ, self._receive)

    def _dispatch(self, conn: Connection) -> None:
        """Give a request to a thread, or hold it back until fewer threads read large bodies."""
        self._unwatch(conn)
        conn.sock.stream_body = conn.reception.is_streamed
        if conn.sock.stream_body and self.streams >= max(1, self.cfg.threads // 2):
            self.held.append(conn)
            self._wait(conn, HELD_SECONDS)
            return
        self.timed.discard(conn)
        self.streams += conn.sock.stream_body
        for allowance in (conn.sock.reading, conn.sock.sending):
            allowance.renew()
        conn.parser.unreader.unread(bytes(conn.reception.data))
        conn.reception = Reception()
        self.enqueue_req(conn)

    # --- answers ---

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        """Return whether the connection can be used again: not if bytes of a large body are still to come."""
        if conn.sock.stream_body:
            reader = getattr(conn.parser.mesg.body, "reader", None)
            return keepalive and getattr(reader, "length", 1) == 0
        return bool(super()._keepalive_after(conn, keepalive))

    def finish_request(self, conn: Connection, fs: "Future[Any]") -> None:
        """Send what the thread has left, then wait for the next request or end the connection."""
        conn.keep = not fs.cancelled() and not fs.exception() and bool(fs.result())
        if conn.sock.stream_body:
            conn.sock.stream_body = False
            self.streams -= 1
            if self.held:
                waiting = self.held.popleft()
                self._call(self._dispatch, waiting)
        self._call(self._send, conn)

    def _send(self, conn: Connection) -> None:
        if conn.sock.flush():
            self._next(conn) if conn.keep else self._linger(conn)
            return
        self._wait(conn, conn.sock.sending.left)
        self._watch(conn, EVENT_WRITE, self._send_more)

    def _send_more(self, conn: Connection) -> None:
        conn.sock.sending.left = conn.deadline - time.monotonic()
        self._send(conn)

    def _next(self, conn: Connection) -> None:
        """Answer the request that the client has sent already, or wait for it."""
        self._unwatch(conn)
        conn.reception = Reception(conn.parser.unreader.take_buffered())
        if conn.reception.data:
            self._proceed(conn, begins=True, head_arrived=conn.reception.head is not None)
        else:
            self._idle(conn)

    def _linger(self, conn: Connection) -> None:
        conn.sock.shutdown(SHUT_WR)
        self._wait(conn, LINGER_SECONDS)
        self._watch(conn, EVENT_READ, self._discard)

    def _discard(self, conn: Connection) -> None:
        size = len(conn.sock.receive(READ_BLOCK))
        conn.discarded += size
        if not size or conn.discarded > LINGER_BYTES:
            self._close(conn)

    # --- time ---

    def murder_keepalived(self, force: bool = False) -> None:
        """Close the connections that have been idle for too long."""
        now = time.monotonic()
        while self.keepalived_conns and (force or self.keepalived_conns[0].timeout <= now):
            self._close(self.keepalived_conns.popleft())

    def murder_pending(self) -> None:
        """End the connections whose clients are too slow, and those that use too much memory together."""
        now = time.monotonic()
        if now - self.swept < SWEEP_SECONDS:
            return
        self.swept = now
        for conn in [conn for conn in self.timed if conn.deadline <= now]:
            self._expire(conn)
        for conn in self._too_large():
            self._close(conn)

    def _expire(self, conn: Connection) -> None:
        if conn in self.held:
            self.held.remove(conn)
            self._refuse(conn, TOO_BUSY)
        elif conn.reception.data:
            self._refuse(conn, TOO_SLOW)
        else:
            self._close(conn)

    def _too_large(self) -> Iterator[Connection]:
        """Yield the connections with the most bytes in memory, until the others are below the limit."""
        sizes = {conn: len(conn.reception.data) + conn.sock.queued for conn in self.timed}
        total = sum(sizes.values())
        for conn in sorted(sizes, key=lambda conn: sizes[conn], reverse=True):
            if total <= self.limits.memory:
                return
            total -= sizes[conn]
            yield conn
