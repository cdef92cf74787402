"""What nginx itself decides, with a program behind it that answers what it received."""

import http.client
import json
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vlog.tests.installed import nginx_configuration
from vlog.tests.processes import reserve_port, wait_until

PROXY, CLIENT = "127.0.0.1", "127.0.0.2"  # the first one is trusted
UPLOADS = [
    "/admin/videos/video/add/",
    "/admin/videos/video/7/change/",
    "/admin/videos/video/7/poster/",
    "/admin/videos/video/7/file/",
    "/api/v1/videos/lake/replace",
    "/api/v1/uploads/abc",
    "/api/worker/v1/chunks/7/segments/720p/3",
]
OTHERS = [
    "/",
    "/admin/login/",
    "/admin/videos/video/addition/",
    "/api/v1/playback/start",
    "/api/v1/uploadsx",
    "/media/x",
]
GRANT, NO_GRANT = (f"l7.1abcde.{letter * 43}" for letter in "ab")  # the site accepts one
OPEN, PROTECTED = f"1-{'a' * 32}", f"2-{'b' * 32}"  # packages
LARGE = 4 << 20  # bytes
FLOOD = 3000  # requests: more than the burst and what the rate allows while they are sent


class Server(ThreadingHTTPServer):
    request_queue_size = 1024  # two hundred requests at once

    def handle_error(self, *arguments: Any) -> None:
        """Write nothing about a client that went away."""


class Site(BaseHTTPRequestHandler):
    """Answers with the headers and the size of the body, as soon as the body is complete."""

    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        super().handle_one_request()
        self.close_connection = True

    def do_GET(self) -> None:
        self.server.begun.append(self.path)  # type: ignore[attr-defined]
        if self.path.startswith("/access/"):
            self.send_response(204 if GRANT in self.path.partition("?")[0] else 403)
            self.end_headers()
            return
        if self.path.endswith(("/download", "/audio.m4a", "/original/")):
            self.send_large_file()
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = json.dumps({"headers": dict(self.headers), "size": len(body)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def send_large_file(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(64 << 20))
        self.end_headers()
        self.server.written.append(0)  # type: ignore[attr-defined]
        for _ in range(1024):
            self.wfile.write(bytes(1 << 16))
            self.server.written[-1] += 1 << 16  # type: ignore[attr-defined]

    do_POST = do_GET  # noqa: N815 - the name is http.server's

    def log_message(self, *arguments: Any) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """nginx in front of the program, with the files of an open package and of a protected one."""
    assert shutil.which("nginx"), "the tests of what stands in front of the site need nginx: make nginx"
    folder: Path = tmp_path_factory.mktemp("nginx")
    for package in (OPEN, PROTECTED):
        (folder / "media" / package / "720p").mkdir(parents=True)
        for name in ("master.m3u8", "720p/00000.m4s"):
            (folder / "media" / package / name).write_bytes(b"on the disk")
    (folder / "media" / "open").mkdir()
    (folder / "media" / "open" / OPEN).symlink_to(Path("..", OPEN))
    with ExitStack() as stack:
        site = stack.enter_context(Server(("127.0.0.1", 0), Site))
        site.begun, site.written = [], []  # type: ignore[attr-defined]
        threading.Thread(target=site.serve_forever, daemon=True).start()
        stack.callback(site.shutdown)
        port = stack.enter_context(reserve_port()).getsockname()[1]
        words = {"VLOG_LISTEN": f"127.0.0.1:{port}", "VLOG_WEB": f"127.0.0.1:{site.server_port}"}
        configuration = nginx_configuration(
            folder, **words, VLOG_PROXIES=f"{PROXY}/32", VLOG_FILES=folder, VLOG_STATIC=folder
        )
        nginx = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(configuration), "-g", "daemon off;"])
        stack.callback(nginx.wait, 60)
        stack.callback(nginx.terminate)
        front = SimpleNamespace(port=port, begun=site.begun, written=site.written)  # type: ignore[attr-defined]
        wait_until(lambda: is_up(front), "nginx")
        yield front


def is_up(front):
    try:
        return ask(front, "/").status == 200
    except OSError:
        return False


def ask(front, path, method="GET", body=None, *, address=PROXY, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=60, source_address=(address, 0))
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return SimpleNamespace(status=response.status, headers=response.headers, body=response.read())
    finally:
        connection.close()


def received(front, **headers):
    return json.loads(ask(front, "/", **headers).body)["headers"]


def test_what_a_client_says_of_itself_is_overwritten(front):
    forwarded = {"X_Forwarded_For": "203.0.113.9", "X_Forwarded_Proto": "https", "X_Forwarded_Host": "evil.example"}
    seen = received(front, address=CLIENT, **forwarded, Forwarded="for=203.0.113.9", X_Real_IP="203.0.113.9")
    assert seen["X-Forwarded-For"] == CLIENT
    assert seen["X-Forwarded-Proto"] == "http"
    assert {"X-Forwarded-Host", "X-Real-IP", "Forwarded"} & set(seen) == set()


def test_what_a_trusted_proxy_says_is_passed_on_and_nothing_that_came_before_it(front):
    seen = received(front, X_Forwarded_For="198.51.100.1, 203.0.113.9", X_Forwarded_Proto="https")
    assert (seen["X-Forwarded-For"], seen["X-Forwarded-Proto"]) == ("203.0.113.9", "https")


@pytest.mark.parametrize("path", UPLOADS)
def test_an_upload_of_any_size_reaches_the_site_while_it_arrives(front, path):
    assert json.loads(ask(front, path, "POST", bytes(LARGE)).body)["size"] == LARGE
    front.begun.clear()
    with half_sent(front, path):
        wait_until(lambda: front.begun == [path], "the first half of an upload")


@pytest.mark.parametrize("path", OTHERS)
def test_any_other_request_reaches_the_site_when_it_is_complete(front, path):
    front.begun.clear()
    with half_sent(front, path) as client:
        ask(front, "/meanwhile")
        assert front.begun == ["/meanwhile"]
        client.sendall(b"x" * 500)
        wait_until(lambda: front.begun == ["/meanwhile", path], "the whole request")


@pytest.mark.parametrize(
    "path",
    [
        *(f"/media/{OPEN}/download", f"/media/{PROTECTED}/{GRANT}/download", f"/media/{OPEN}/audio.m4a"),
        "/admin/videos/video/7/original/",
    ],
)
def test_a_download_is_read_from_the_site_as_its_client_takes_it(front, path):
    """If nginx kept a part in a file first, the site would wait until a slow client had all of that."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        client.connect(("127.0.0.1", front.port))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        read_some(client, 1 << 16)
        taken = settled(front)
        assert taken < 32 << 20
        read_some(client, 6 << 20)
        assert settled(front) > taken


def read_some(client, size):
    while size > 0:
        size -= len(client.recv(1 << 16))


def settled(front):
    """How many bytes of a file the site has sent when it cannot send more."""
    before = -1
    while before != front.written[-1]:
        before = front.written[-1]
        time.sleep(0.3)
    return before


def half_sent(front, path, address=PROXY):
    client = socket.create_connection(("127.0.0.1", front.port), source_address=(address, 0))
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    client.sendall(head.encode() + b"x" * 500)
    return client


def test_unfinished_uploads_of_one_address_leave_room_for_the_others(front):
    with ExitStack() as stack:
        uploads = [stack.enter_context(half_sent(front, UPLOADS[0], "127.0.0.8")) for _ in range(210)]
        readable, _, _ = select.select(uploads, [], [], 60)
        assert readable[0].recv(100).startswith(b"HTTP/1.1 429")
        assert ask(front, "/", address="127.0.0.8").status == 200
        assert ask(front, UPLOADS[0], "POST", b"x", address="127.0.0.9").status == 200


@pytest.mark.parametrize("path", OTHERS)
def test_a_large_body_elsewhere_is_refused_in_words(front, path):
    front.begun.clear()
    response = ask(front, path, "POST", None, Content_Length=str(LARGE))
    assert (response.status, response.headers["Content-Type"]) == (413, "text/plain")
    assert response.body == b"This request is larger than 1 MB, which only uploads of videos may be.\n"
    assert front.begun == []


def test_logins_are_limited_for_each_address_and_nothing_else_is(front):
    def flood(path, method, address):
        return [ask(front, path, method, address=address).status for _ in range(40)]

    assert 429 in flood("/admin/login/", "POST", "127.0.0.3")
    assert flood("/admin/login/", "GET", "127.0.0.3") == [200] * 40
    assert ask(front, "/admin/login/", "POST", address="127.0.0.4").status == 200


def test_viewers_behind_a_proxy_are_counted_by_their_own_addresses(front):
    statuses = [
        ask(front, "/admin/login/", "POST", X_Forwarded_For=f"198.51.100.{number}").status for number in range(40)
    ]
    assert statuses == [200] * 40


def test_a_flood_from_one_address_is_refused_in_words_and_does_not_reach_the_others(front):
    answers = b"".join(pipelined(front, "127.0.0.5", FLOOD // 6) for _ in range(6))
    assert b"HTTP/1.1 200" in answers
    refused = answers.partition(b"HTTP/1.1 429")[2]
    assert b"Retry-After: 5" in refused
    assert b"Too many requests come from your address. Wait some seconds." in refused
    assert ask(front, "/", address="127.0.0.6").status == 200


def pipelined(front, address, number):
    """Send so many requests in one connection, and return all answers."""
    with socket.create_connection(("127.0.0.1", front.port), source_address=(address, 0)) as client:
        client.settimeout(60)
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * (number - 1))
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: client.recv(1 << 16), b""))


def test_two_hundred_viewers_behind_one_address_are_served(front):
    """Each opens a page, and its player reports: far more at once than they do."""
    for _ in range(2):
        clients = [
            socket.create_connection(("127.0.0.1", front.port), source_address=("127.0.0.7", 0)) for _ in range(200)
        ]
        for client in clients:
            client.settimeout(60)
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answers = [client.makefile("rb").readline() for client in clients]
        for client in clients:
            client.close()
        assert answers == [b"HTTP/1.1 200 OK\r\n"] * 200


@pytest.mark.parametrize("name", ["master.m3u8", "720p/00000.m4s"])
def test_files_of_open_packages_come_from_the_disk_and_about_all_others_the_site_is_asked(front, name):
    front.begun.clear()
    assert ask(front, f"/media/{OPEN}/{name}").body == b"on the disk"
    assert front.begun == []
    assert ask(front, f"/media/{PROTECTED}/{name}").body != b"on the disk"
    assert front.begun == [f"/media/{PROTECTED}/{name}"]  # which refuses it


@pytest.mark.parametrize("name", ["master.m3u8", "720p/00000.m4s"])
def test_a_grant_is_checked_with_each_request_and_the_file_comes_from_the_disk(front, name):
    for _ in range(2):
        front.begun.clear()
        response = ask(front, f"/media/{PROTECTED}/{GRANT}/{name}?v=1")
        assert (response.status, response.body) == (200, b"on the disk")
        assert response.headers["Cache-Control"] == "private, no-cache"
        assert front.begun == [f"/access/media/{PROTECTED}/{GRANT}/{name}?v=1"]
    response = ask(front, f"/media/{PROTECTED}/{NO_GRANT}/{name}")
    assert (response.status, response.body, response.headers["Cache-Control"]) == (404, b"Not found\n", "no-store")


def test_a_segment_that_is_not_made_yet_is_waited_for_by_the_site(front):
    front.begun.clear()
    address = f"/media/{PROTECTED}/{GRANT}/720p/00007.m4s"
    assert ask(front, address).status == 200
    assert front.begun == [f"/access{address}", address]


def test_no_spelling_of_an_address_passes_the_check_of_another(front):
    for path in (
        f"/media/{PROTECTED}/{NO_GRANT}/master.m3u8?{GRANT}",
        f"/media/{PROTECTED}/{NO_GRANT}/%6daster.m3u8",
        f"/media/{PROTECTED}//master.m3u8",
    ):
        assert ask(front, path).body != b"on the disk", path
