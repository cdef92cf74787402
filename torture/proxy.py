"""A broken proxy in front of the site: it answers 502, or truncates answers."""

import random
import socket
import threading
from contextlib import suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer

from torture.network import SITE

ANSWER = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n<h1>502</h1>"
MAX_FORWARDED = 300_000  # bytes of answers per connection
READ = 16 << 10


class BadProxy(ThreadingTCPServer):
    """Answers a third of all connections with 502, and closes the others after a random number of bytes."""

    daemon_threads = True

    def __init__(self, port: int, chance: random.Random) -> None:
        super().__init__((SITE, 0), _Connection)
        self.site, self.chance = port, chance
        self.refused = self.truncated = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://{SITE}:{self.server_address[1]}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Connection(StreamRequestHandler):
    server: BadProxy

    def handle(self) -> None:
        with suppress(OSError):
            if self.server.chance.random() < 1 / 3:
                self.connection.recv(READ)
                self.connection.sendall(ANSWER)
                self.server.refused += 1
                return
            with socket.create_connection((SITE, self.server.site)) as site:
                threading.Thread(target=self._forward_requests, args=(site,), daemon=True).start()
                self._forward_answers(site, self.server.chance.randrange(MAX_FORWARDED))

    def _forward_requests(self, site: socket.socket) -> None:
        with suppress(OSError):
            while data := self.connection.recv(READ):
                site.sendall(data)
            site.shutdown(socket.SHUT_WR)

    def _forward_answers(self, site: socket.socket, remaining: int) -> None:
        while data := site.recv(READ):
            self.connection.sendall(data[:remaining])
            remaining -= len(data)
            if remaining <= 0:
                self.server.truncated += 1
                self.connection.shutdown(socket.SHUT_RDWR)
                return
