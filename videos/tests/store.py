"""An object store for tests, behind a proxy that does to requests what networks do.

Each test that uses it runs with moto's server and, as a slow one, with SeaweedFS.
"""

import http.client
import itertools
import logging
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest
from moto.server import ThreadedMotoServer

from videos.storage import bucket, objects
from videos.tests.seaweedfs import seaweedfs
from vlog.environment import parse_storage_url

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}
KEY, SECRET = "a-key", "a-secret"
SECOND_RUN = pytest.mark.slow("runs all tests of the storage a second time, with SeaweedFS: about a minute")
STORES = ("moto_port", pytest.param("seaweedfs_port", marks=SECOND_RUN))  # fixtures
numbers = itertools.count(1)


class Proxy(ThreadingHTTPServer):
    """`faults` is asked of every request, by its method and path, what becomes of it: None where nothing does.

    slow: 503 SlowDown. cut: hung up in the middle of the request. lost: done, and hung up before the answer.
    torn: half of the answer.
    """

    daemon_threads = True

    def __init__(self, port):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.port = port
        self.faults = lambda method, path: None
        self.asked, self.sent = [], Counter()  # (method, path); bytes of bodies by method
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one_request(self):
        with suppress(ConnectionError):
            super().handle_one_request()

    def forward(self):
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append((self.command, path))
        fault = self.server.faults(self.command, path)
        length = int(self.headers.get("Content-Length") or 0)
        if self.headers.get("Expect") and fault != "cut":
            self.send_response_only(100)
            self.end_headers()
        if fault == "cut":
            self.rfile.read(length // 2)
            return self.hang_up()
        body = self.rfile.read(length)
        if fault == "slow":
            return self.answer(503, [("Content-Type", "application/xml")], SLOW_DOWN)
        status, headers, content = self.ask(body)
        if fault == "lost":
            return self.hang_up()
        self.server.sent[self.command] += len(content)
        return self.answer(status, headers, content, torn=fault == "torn")

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward  # noqa: N815 - as http.server calls them

    def ask(self, body):
        store = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("expect", "connection")}
        store.request(self.command, self.path, body or None, headers)
        answer = store.getresponse()
        content = answer.read()
        store.close()
        return answer.status, [(n, v) for n, v in answer.getheaders() if n.lower() not in HOP_BY_HOP], content

    def answer(self, status, headers, content, *, torn=False):
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if torn else content)
        if torn:
            self.hang_up()

    def hang_up(self):
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(2)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def moto_port():
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


@pytest.fixture(scope="session")
def seaweedfs_port(tmp_path_factory):
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs"), KEY, SECRET) as port:
        yield port


@pytest.fixture(params=STORES)
def store(request, settings, tmp_path):
    """An empty folder of a bucket where the videos lie from now on, asked through a Proxy; its address: `store.url`."""
    with emptied(request.getfixturevalue(request.param), settings, tmp_path) as proxy:
        yield proxy


@contextmanager
def emptied(port, settings, tmp_path):
    """Have the videos lie in the store at this port; yields its proxy."""
    proxy = Proxy(port)
    proxy.url = f"s3://videos/test-{next(numbers)}?endpoint=http://127.0.0.1:{proxy.server_address[1]}"
    options = parse_storage_url(proxy.url, KEY, SECRET)
    settings.STORAGES = {
        **settings.STORAGES,
        "objects": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options},
    }
    settings.MEDIA_BASE_URL = ""
    for folder in ("UPLOADS", "SOURCES", "MEDIA", "ARCHIVE"):
        setattr(settings, f"{folder}_DIR", tmp_path / "disk" / folder.lower())
        getattr(settings, f"{folder}_DIR").mkdir(parents=True)
    bucket.forget()
    client = bucket.bucket().client
    with suppress(client.exceptions.BucketAlreadyOwnedByYou, client.exceptions.BucketAlreadyExists):
        client.create_bucket(Bucket="videos")
    proxy.asked.clear()
    try:
        yield proxy
    finally:
        proxy.faults = lambda method, path: None
        objects.files.remove(objects.ObjectPath())
        bucket.forget()
        proxy.shutdown()
        proxy.server_close()
