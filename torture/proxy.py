"""A proxy in front of the site that is no good: it answers 502, or cuts off what it passes on."""

import random
import socket
import threading
from contextlib import suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer

from torture.network import SITE

ANSWER = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n<h1>502</h1>"
WHOLE = 300_000  # bytes of answers that a connection passes on at most
READ = 16 << 10


class BadProxy(ThreadingTCPServer):
    """Every third connection is answered with 502, each other one ends after some bytes of answers."""

    daemon_threads = True

    def __init__(self, port: int, chance: random.Random) -> None:
        super().__init__((SITE, 0), _Connection)
        self.site, self.chance = port, chance
        self.refused = self.cut = 0
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
                threading.Thread(target=self._pass_requests_on, args=(site,), daemon=True).start()
                self._pass_answers_on(site, self.server.chance.randrange(WHOLE))

    def _pass_requests_on(self, site: socket.socket) -> None:
        with suppress(OSError):
            while data := self.connection.recv(READ):
                site.sendall(data)
            site.shutdown(socket.SHUT_WR)

    def _pass_answers_on(self, site: socket.socket, left: int) -> None:
        while data := site.recv(READ):
            self.connection.sendall(data[:left])
            left -= len(data)
            if left <= 0:
                self.server.cut += 1
                self.connection.shutdown(socket.SHUT_RDWR)
                return
