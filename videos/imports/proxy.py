"""A proxy on the loopback for the program that fetches pages: it can connect to nothing else.

So its requests reach what `outbound` allows: names are resolved here, addresses are checked, and what comes is counted.
"""

import selectors
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from vlog import outbound
from vlog.outbound import OutboundError

HEAD_BYTES, BLOCK = 64 << 10, 64 << 10
SECONDS = 30  # for a request to come, and for a connection
IDLE_SECONDS = 120
CONNECTIONS = 32  # at a time


class TooManyBytes(Exception):
    """More bytes came than may be fetched."""


class Proxy(socketserver.ThreadingTCPServer):
    """Answers CONNECT, and GET and POST of http addresses. most: the bytes that may come in all."""

    daemon_threads, block_on_close, request_queue_size = True, False, CONNECTIONS

    def __init__(self, most: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.left, self.turns = most, threading.BoundedSemaphore(CONNECTIONS)
        self.refusal = ""

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def count(self, received: int) -> None:
        """Raise TooManyBytes when more bytes came than may."""
        self.left -= received
        if self.left < 0:
            raise TooManyBytes


@contextmanager
def serving(most: int) -> Iterator[Proxy]:
    with Proxy(most) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.1,), name="proxy", daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


class _Handler(socketserver.BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        self.request.settimeout(SECONDS)
        with suppress(OSError, TooManyBytes, ValueError), self.server.turns:
            head, rest = self._head()
            method, target, *_ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
            try:
                self._forward(method, target, head, rest)
            except OutboundError as error:
                self.server.refusal = str(error)
                self.request.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def _head(self) -> tuple[bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            block = self.request.recv(BLOCK)
            if not block or len(data) > HEAD_BYTES:
                raise ValueError("no request")
            data += block
        head, _, rest = data.partition(b"\r\n\r\n")
        return head, rest

    def _forward(self, method: str, target: str, head: bytes, rest: bytes) -> None:
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        port = parts.port or (443 if method == "CONNECT" else 80)
        with outbound.connect(parts.hostname or "", port, time.monotonic() + SECONDS, outbound.IMPORTS) as remote:
            if method == "CONNECT":
                self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                remote.sendall(rest)
            else:
                remote.sendall(_as_origin(method, parts.path, parts.query, head) + rest)
            self._pump(remote)

    def _pump(self, remote: socket.socket) -> None:
        """Hand on what either side sends, until one closes, or nothing comes for a while."""
        others = {self.request: remote, remote: self.request}
        with selectors.DefaultSelector() as selector:
            for side in others:
                side.settimeout(IDLE_SECONDS)
                selector.register(side, selectors.EVENT_READ)
            while ready := selector.select(IDLE_SECONDS):
                for key, _ in ready:
                    data = key.fileobj.recv(BLOCK)  # type: ignore[union-attr]
                    if not data:
                        return
                    if key.fileobj is remote:
                        self.server.count(len(data))
                    others[key.fileobj].sendall(data)


def _as_origin(method: str, path: str, query: str, head: bytes) -> bytes:
    """Return the head of a request as its server expects it: with a path, and for one request only."""
    kept = (line for line in head.split(b"\r\n")[1:] if not line.lower().startswith((b"proxy-", b"connection:")))
    first = f"{method} {path or '/'}{'?' + query if query else ''} HTTP/1.1".encode("ascii", "replace")
    return b"\r\n".join([first, *kept, b"Connection: close", b"", b""])
