"""The editor's file for ffmpeg: served on the loopback, fetched as far as it is read. No Django here.

ffmpeg learns no key, and the server that has the file may be away: ffmpeg only waits for its next bytes.
"""

import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Hashable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socket import IPPROTO_TCP, SO_SNDBUF, SOL_SOCKET, TCP_MAXSEG, TCP_NODELAY
from socketserver import ThreadingTCPServer
from typing import Any

from transcoding.engine.ffmpeg.inputs import LOOPBACK

BLOCK = 64 << 10  # bytes; what is read at once at least
LONGEST_RUN = 16  # blocks that are fetched at once where ffmpeg reads on and on
READ_AHEAD = 16  # at most this part of what was read on and on is fetched before it is asked for
CACHE = 64 << 20  # bytes of all sources: an index is fetched once and not for each piece
SEND_BUFFER = 32 << 10  # bytes; what ffmpeg has not read when it ends was fetched in vain
SEGMENT = 8 << 10  # bytes; TCP's on the loopback
RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Cache:
    """The blocks that were read last, of all sources; safe among threads."""

    def __init__(self, size: int = CACHE) -> None:
        self._blocks: OrderedDict[Hashable, bytes] = OrderedDict()
        self._lock, self._free = threading.Lock(), size

    def get(self, key: Hashable) -> bytes | None:
        with self._lock:
            if key in self._blocks:
                self._blocks.move_to_end(key)
            return self._blocks.get(key)

    def put(self, key: Hashable, block: bytes) -> None:
        with self._lock:
            self._free += len(self._blocks.pop(key, b"")) - len(block)
            self._blocks[key] = block
            while self._free < 0:
                self._free += len(self._blocks.popitem(last=False)[1])


class Source:
    """A file of so many bytes by its ranges; a kind of source says how they are fetched."""

    over: tuple[type[Exception], ...] = ()  # what ends the reading: raised by fetch, and known to whom it concerns

    def __init__(self, size: int, same: Hashable) -> None:
        """same: equal for all that serve the same bytes."""
        self.token = secrets.token_urlsafe()
        self.size = size
        self._same, self._lock = same, threading.Lock()

    def fetch(self, start: int, end: int) -> bytes:
        """Exactly these bytes; raises one of `over`."""
        raise NotImplementedError

    def close(self) -> None:
        """Release the source: it is no longer read."""

    def read(self, cache: Cache, at: int, read_on: int) -> bytes:
        """Some bytes from a place on, to the end of a block; read_on is the number that was read just before it.

        Raises one of `over`.
        """
        number = at // BLOCK
        with self._lock:  # one connection; and what another one has fetched meanwhile is there
            block = cache.get((self._same, number))
            if block is None:
                run = max(1, min(LONGEST_RUN, read_on // READ_AHEAD // BLOCK))
                block = self._fetch_run(cache, number, run)
        return block[at % BLOCK :]

    def _fetch_run(self, cache: Cache, first: int, count: int) -> bytes:
        """Blocks one after the other, up to one that is there already; gives the first."""
        end = first + 1
        while end < first + count and cache.get((self._same, end)) is None:
            end += 1
        data = self.fetch(first * BLOCK, min(end * BLOCK, self.size))
        for number in range(first, end):
            begin = (number - first) * BLOCK
            if begin < len(data):
                cache.put((self._same, number), data[begin : begin + BLOCK])
        return data[:BLOCK]


class SourceServer(ThreadingTCPServer):
    """Serves sources to this machine's ffmpeg, each under an address that cannot be guessed."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, cache: Cache | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        # The loopback's own are as large as these buffers, and TCP likes to wait until there is room for a whole one.
        self.socket.setsockopt(IPPROTO_TCP, TCP_MAXSEG, SEGMENT)
        self.cache = cache or Cache()
        self.sources: dict[str, Source] = {}
        threading.Thread(target=self.serve_forever, daemon=True, name="sources").start()

    def serve(self, source: Source) -> str:
        """The address at which it can be read from now on."""
        self.sources[f"/{source.token}"] = source
        return f"{LOOPBACK}{self.server_address[1]}/{source.token}"

    def withdraw(self, source: Source) -> None:
        self.sources.pop(f"/{source.token}", None)
        source.close()


class _Handler(BaseHTTPRequestHandler):
    server: SourceServer
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        self.request.setsockopt(SOL_SOCKET, SO_SNDBUF, SEND_BUFFER)
        self.request.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        super().setup()

    def do_GET(self) -> None:
        source = self.server.sources.get(self.path)
        if source is None:
            self.send_error(404)
            return
        wanted = RANGE.fullmatch(self.headers.get("Range", "bytes=0-"))
        start = int(wanted[1]) if wanted else 0
        end = min(int(wanted[2]) + 1, source.size) if wanted and wanted[2] else source.size
        if wanted is None or start >= end:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{source.size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{end - 1}/{source.size}")
        self.send_header("Content-Length", str(end - start))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        self.close_connection = True
        with suppress(ConnectionError, *source.over):  # ffmpeg has read enough, or gets no more
            self._send(source, start, end)

    def _send(self, source: Source, start: int, end: int) -> None:
        at = start
        while at < end:
            data = source.read(self.server.cache, at, at - start)[: end - at]
            self.wfile.write(data)
            at += len(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Addresses with tokens belong in no log."""
