"""A web server for tests that files are fetched from, and that does what servers do to their clients."""

import re
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network

from vlog.imports import Imports

LOOPBACK = Imports(networks=(ip_network("127.0.0.0/8"),))


class Origin(ThreadingHTTPServer):
    """Serves `content` at every path. The path says how: see _Handler. `asked` has the Range of each request."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.tag, self.asked, self.cut = b"x" * 300_000, '"one"', [], None
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.headers.get("Range"))
        name = self.path.partition("?")[0].strip("/")
        with suppress(ConnectionError):
            getattr(self, f"send_{name.partition('.')[0].replace('-', '_')}", self.send_whole)()
        self.close_connection = True

    def begin(self, status, length, **headers):
        self.send_response(status)
        for key, value in {"Content_Type": "video/mp4", "ETag": self.server.tag, **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def send_whole(self):
        content, match = self.server.content, re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(match[1]) if match and self.headers.get("If-Range") == self.server.tag else 0
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        self.begin(206 if start else 200, len(content) - start, **headers)
        end = len(content) if self.server.cut is None else start + self.server.cut
        self.wfile.write(content[start:end])

    def send_without_ranges(self):
        self.begin(200, len(self.server.content), ETag="")
        self.wfile.write(self.server.content[: self.server.cut])

    def send_page(self):
        self.begin(200, 5, Content_Type="text/html")
        self.wfile.write(b"<html")

    def send_endless(self):
        self.begin(200, None, Transfer_Encoding="chunked")
        for _ in range(10_000):
            self.wfile.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    def send_huge(self):
        self.begin(200, 10**15)

    def send_more(self):
        self.begin(200, 10)
        self.wfile.write(b"0123456789 and more")

    def send_moved(self):
        self.begin(302, 0, Location="/film.mp4?x=1")

    def send_metadata(self):
        self.begin(302, 0, Location="http://169.254.169.254/latest/meta-data/")

    def send_file(self):
        self.begin(302, 0, Location="file:///etc/passwd")

    def send_loop(self):
        self.begin(302, 0, Location="/loop")

    def send_gone(self):
        self.begin(410, 0)

    def send_busy(self):
        self.begin(503, 0)

    def send_named(self):
        self.begin(200, 3, Content_Disposition='attachment; filename="../../A walk.mp4"')
        self.wfile.write(b"abc")

    def log_message(self, *arguments):
        pass


@contextmanager
def origin():
    with Origin() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
