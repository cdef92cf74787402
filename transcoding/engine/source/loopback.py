"""An HTTP server on the loopback through which ffmpeg reads sources that are stored elsewhere. No Django here.

Bytes are fetched from the remote server only as ffmpeg reads them. ffmpeg is given no credentials, and while the remote
server is unavailable, ffmpeg only waits for its next bytes.
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

BLOCK = 64 << 10  # bytes; the least that is fetched at once
LONGEST_RUN = 16  # blocks; the most that are fetched at once while ffmpeg reads sequentially
READ_AHEAD = 16  # ffmpeg's sequential read so far, divided by this, limits how much is fetched ahead of it
CACHE = 64 << 20  # bytes, for all sources together; so that the index of a file is not fetched for each chunk
SEND_BUFFER = 32 << 10  # bytes; small, because what is left in it when ffmpeg exits was fetched for nothing
SEGMENT = 8 << 10  # bytes; the maximum segment size of TCP on the loopback
RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Cache:
    """A least-recently-used cache of the blocks of all sources; thread-safe. size is in bytes."""

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
    """A file of `size` bytes that is read by byte ranges; subclasses implement `fetch`."""

    fetch_errors: tuple[type[Exception], ...] = ()  # of fetch; they end a response, and the subclass reports them

    def __init__(self, size: int, cache_key: Hashable) -> None:
        """cache_key: equal for all sources that have the same bytes, which share cached blocks."""
        self.token = secrets.token_urlsafe()
        self.size = size
        self._cache_key, self._lock = cache_key, threading.Lock()

    def fetch(self, start: int, end: int) -> bytes:
        """Return exactly the bytes from start up to, but not including, end. Raise one of `fetch_errors`."""
        raise NotImplementedError

    def close(self) -> None:
        """Release what the source holds; it is not read afterwards."""

    def read(self, cache: Cache, at: int, read_on: int) -> bytes:
        """Return the bytes from offset `at` to the end of its block; raise one of `fetch_errors`.

        read_on is the number of bytes that were read sequentially up to `at`; it determines how much is fetched ahead.
        """
        number = at // BLOCK
        with self._lock:  # one fetch at a time; the cache may have the block once the lock is free
            block = cache.get((self._cache_key, number))
            if block is None:
                run = max(1, min(LONGEST_RUN, read_on // READ_AHEAD // BLOCK))
                block = self._fetch_run(cache, number, run)
        return block[at % BLOCK :]

    def _fetch_run(self, cache: Cache, first: int, count: int) -> bytes:
        """Fetch up to count consecutive blocks, stopping before one that is cached, and return the first of them."""
        end = first + 1
        while end < first + count and cache.get((self._cache_key, end)) is None:
            end += 1
        data = self.fetch(first * BLOCK, min(end * BLOCK, self.size))
        for number in range(first, end):
            begin = (number - first) * BLOCK
            if begin < len(data):
                cache.put((self._cache_key, number), data[begin : begin + BLOCK])
        return data[:BLOCK]


class SourceServer(ThreadingTCPServer):
    """Serves sources to ffmpeg processes on this machine, each at a URL that cannot be guessed."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, cache: Cache | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        # By default, TCP segments on the loopback are as large as these buffers, and TCP tends to wait until there is
        # space for a whole one.
        self.socket.setsockopt(IPPROTO_TCP, TCP_MAXSEG, SEGMENT)
        self.cache = cache or Cache()
        self.sources: dict[str, Source] = {}
        threading.Thread(target=self.serve_forever, daemon=True, name="sources").start()

    def serve(self, source: Source) -> str:
        """Start to serve a source and return its URL."""
        self.sources[f"/{source.token}"] = source
        return f"{LOOPBACK}{self.server_address[1]}/{source.token}"

    def withdraw(self, source: Source) -> None:
        """Stop serving a source and close it."""
        self.sources.pop(f"/{source.token}", None)
        source.close()


class _Handler(BaseHTTPRequestHandler):
    """Answers GET requests for sources, with or without a range; each response of bytes ends its connection."""

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
        with suppress(ConnectionError, *source.fetch_errors):  # ffmpeg hung up, or fetch failed
            self._send(source, start, end)

    def _send(self, source: Source, start: int, end: int) -> None:
        at = start
        while at < end:
            data = source.read(self.server.cache, at, at - start)[: end - at]
            self.wfile.write(data)
            at += len(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the URLs contain the tokens."""
