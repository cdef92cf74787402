"""The web server with clients that are slow, rude or too many: real sockets, a real gunicorn."""

import os
import select
import shutil
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from videos.tests import live
from vlog.tests.installed import nginx_configuration
from vlog.tests.processes import reserve_port, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

PATIENCE = 30  # seconds
SLOW = {"VLOG_HEAD_SECONDS": "1", "VLOG_SILENCE_SECONDS": "2", "VLOG_CONNECTIONS_PER_ADDRESS": "200"}
GET = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
LARGE = f"serving-test-{os.getpid()}.bin"
LARGE_SIZE = 8 << 20
MEASURING = "127.0.0.9"  # an address that no slow client uses
STATIC_GET = f"GET /static/{LARGE} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


@pytest.fixture(scope="module")
def large_file():
    """A static file that no socket buffer holds."""
    live.collect_static()
    path = Path(settings.STATIC_ROOT) / LARGE
    path.write_bytes(os.urandom(LARGE_SIZE))
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def port(django_db_setup, django_db_blocker, large_file):
    with django_db_blocker.unblock(), live.site(**SLOW) as address:
        yield int(address.rpartition(":")[2])


@pytest.fixture(scope="module")
def front(port, tmp_path_factory):
    """The port of nginx in front of the site, with our configuration."""
    assert shutil.which("nginx"), "the tests of what stands in front of the site need nginx: make nginx"
    folder = tmp_path_factory.mktemp("nginx")
    with reserve_port() as reserved:
        own = reserved.getsockname()[1]
        words = {"VLOG_LISTEN": f"127.0.0.1:{own}", "VLOG_WEB": f"127.0.0.1:{port}", "VLOG_FILES": settings.DATA_DIR}
        configuration = nginx_configuration(folder, **words, VLOG_STATIC=settings.STATIC_ROOT)
        nginx = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(configuration), "-g", "daemon off;"])
    wait_until(lambda: live.answers(f"http://127.0.0.1:{own}"), "nginx")
    yield own
    nginx.terminate()
    nginx.wait(PATIENCE)


@contextmanager
def connect(port, source="127.0.0.1", buffer=0):
    with socket.socket() as connection:
        connection.settimeout(PATIENCE)
        if buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.bind((source, 0))
        connection.connect(("127.0.0.1", port))
        yield connection


def read_all(connection):
    data = b""
    with suppress(ConnectionResetError):
        while block := connection.recv(1 << 16):
            data += block
    return data


def exchange(port, *parts, source="127.0.0.1"):
    """Send the parts with a pause between them, and return everything that the site answers until it closes."""
    with connect(port, source) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(0.05)
        return read_all(connection)


def body_of(answer):
    return answer.partition(b"\r\n\r\n")[2]


class TestRequests:
    def test_a_head_that_arrives_in_pieces(self, port):
        assert b"200 OK" in exchange(
            port, b"GET /healthz HT", b"TP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r", b"\n\r\n"
        )

    def test_http_1_0_ends_the_connection(self, port):
        assert exchange(port, b"GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").startswith(b"HTTP/1.0 200 OK")

    def test_requests_sent_ahead_are_answered_in_their_order(self, port):
        last = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        answer = exchange(port, (GET + b"\r\n") * 5 + last)
        assert answer.count(b"HTTP/1.1 200 OK") == 6
        assert answer.rindex(b"ready") > answer.rindex(b"HTTP/1.1")

    def test_a_body_that_arrives_in_pieces(self, port):
        head = b"POST /api/v1/playback/start HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        answer = exchange(port, head + b"Connection: close\r\nContent-Length: 17\r\n\r\n", b'{"video":', b" 999999}")
        assert answer.startswith(b"HTTP/1.1 4")
        assert b"408" not in answer

    def test_a_client_that_has_sent_its_last_byte_gets_its_answer(self, port):
        with connect(port) as connection:
            connection.sendall(GET + b"\r\n")
            connection.shutdown(socket.SHUT_WR)
            assert b"200 OK" in read_all(connection)

    @pytest.mark.parametrize("size", [10, 1 << 20])
    def test_a_client_that_waits_for_100_gets_it_once(self, port, size):
        head = b"POST /admin/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nExpect: 100-continue\r\n"
        with connect(port) as connection:
            connection.sendall(head + b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % size)
            first = connection.recv(1 << 16)
            assert first.startswith(b"HTTP/1.1 100")
            with suppress(OSError):
                connection.sendall(b"x" * size)
            answer = first + read_all(connection)
            assert answer.count(b"HTTP/1.1 100") == 1
            assert b"HTTP/1.1 403" in answer

    @pytest.mark.parametrize(
        "garbage", [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"A" * 70_000, b"\r\n\r\nGET / HTTP/1.1\r\n"]
    )
    def test_garbage_holds_no_thread(self, port, garbage):
        answer = exchange(port, garbage)
        assert answer[9:10] in (b"", b"4")

    def test_a_large_body_that_nobody_wants_is_refused_before_it_arrives(self, port):
        head = b"PUT /api/worker/v1/chunks/1/segments/720p/1?attempt=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        answer = exchange(
            port, head + b"Content-Type: application/octet-stream\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 1000
        )
        assert answer.startswith(b"HTTP/1.1 401")

    def test_a_chunked_body_is_no_way_around_it(self, port):
        head = b"POST /admin/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
        answer = exchange(port, head + b"Content-Type: multipart/form-data; boundary=x\r\n\r\n", b"5\r\nhello\r\n")
        assert answer.startswith(b"HTTP/1.1 411")


class TestAnswers:
    def test_a_file_arrives_whole_however_slowly_it_is_read(self, port, large_file):
        with connect(port, buffer=1 << 16) as connection:
            connection.sendall(STATIC_GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            time.sleep(0.5)
            assert body_of(read_all(connection)) == large_file.read_bytes()

    def test_the_connection_serves_the_next_request_after_the_file(self, port):
        with connect(port) as connection:
            connection.sendall(STATIC_GET + GET + b"Connection: close\r\n\r\n")
            assert read_all(connection).count(b"HTTP/1.1 200 OK") == 2

    def test_a_range_of_a_file(self, port, large_file):
        request = STATIC_GET.replace(b"\r\n\r\n", b"\r\nRange: bytes=1000000-4999999\r\nConnection: close\r\n\r\n")
        answer = exchange(port, request)
        assert answer.startswith(b"HTTP/1.1 206")
        assert body_of(answer) == large_file.read_bytes()[1_000_000:5_000_000]


@pytest.mark.slow("waits for the time-outs of slow clients")
class TestSlowClients:
    def test_a_slow_head_is_told_and_ended(self, port):
        with connect(port) as connection:
            connection.sendall(GET)
            assert read_all(connection).startswith(b"HTTP/1.1 408")

    def test_a_byte_now_and_then_does_not_help(self, port):
        with connect(port) as connection:
            connection.sendall(GET)
            connection.settimeout(0.2)
            answer = b""
            while not answer:
                with suppress(TimeoutError):
                    connection.sendall(b"X")
                    answer = connection.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 408")

    def test_a_slow_body_is_told_and_ended(self, port):
        answer = exchange(port, b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nabc")
        assert answer.startswith(b"HTTP/1.1 408")

    def test_a_client_that_stops_reading_is_ended(self, port):
        with connect(port, buffer=1 << 16) as connection:
            connection.sendall(STATIC_GET)
            time.sleep(4)  # above the two seconds of silence, and the half second until they are noticed
            assert len(read_all(connection)) < LARGE_SIZE

    def test_an_address_with_too_many_connections_is_told(self, port):
        with ExitStack() as stack:
            sockets = [stack.enter_context(connect(port, "127.0.0.3")) for _ in range(900)]
            answered, _, _ = select.select(sockets, [], [], PATIENCE)
            assert b"503" in answered[0].recv(1 << 16)
            with connect(port, MEASURING) as other:
                other.sendall(GET + b"Connection: close\r\n\r\n")
                assert b"200 OK" in read_all(other)


POST = b"POST /admin/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"
UPLOAD = POST + b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000000\r\n\r\n--x\r\n"
FILE_PART = b'Content-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
SLOW_KINDS = {
    "head": (GET, False),
    "body": (POST + b"Content-Length: 1000\r\n\r\nabc", False),
    "large body": (UPLOAD, False),
    "answer": (STATIC_GET, False),
    "half-closed": (STATIC_GET, True),
    "pipelined": (STATIC_GET * 20, False),
}


@pytest.mark.parametrize("door", ["port", pytest.param("front", marks=pytest.mark.slow("the same again behind nginx"))])
@pytest.mark.parametrize("kind", SLOW_KINDS)
@pytest.mark.parametrize(
    "spread",
    [
        pytest.param(True, id="many addresses"),
        pytest.param(False, id="one address", marks=pytest.mark.slow("the same again from one address")),
    ],
)
def test_the_site_answers_others_while_slow_clients_wait(request, door, kind, spread):
    port = request.getfixturevalue(door)
    data, half_closed = SLOW_KINDS[kind]
    with ExitStack() as stack:
        for number in range(150):
            source = f"127.0.1.{number + 1}" if spread else "127.0.0.4"
            client = stack.enter_context(connect(port, source, buffer=1 << 12))
            client.sendall(data)
            if half_closed:
                client.shutdown(socket.SHUT_WR)
        for _ in range(20):
            answer = exchange(port, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", source=MEASURING)
            assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.slow("starts and stops a site of its own")
def test_a_stop_lets_a_slow_answer_end(large_file):
    with ThreadPoolExecutor() as reader:
        with live.site() as address, connect(int(address.rpartition(":")[2]), buffer=1 << 16) as connection:
            connection.sendall(STATIC_GET)
            data = connection.recv(1 << 10)
            rest = reader.submit(read_slowly, connection.dup())
        assert body_of(data + rest.result()) == large_file.read_bytes()


def read_slowly(connection):
    """Read after the site has received SIGTERM."""
    time.sleep(0.5)
    with connection:
        return read_all(connection)


@pytest.fixture
def upload_of_an_editor():
    """The head and the first bytes of an upload of a megabyte."""
    editor = Client()
    editor.force_login(User.objects.create_superuser("editor"))
    token = "a" * 32
    cookies = f"sessionid={editor.cookies['sessionid'].value}; csrftoken={token}"
    head = UPLOAD.replace(b"/admin/login/", b"/admin/videos/video/add/").replace(b"1000000000", b"1000000")
    return head.replace(b"\r\nHost", f"\r\nCookie: {cookies}\r\nX-CSRFToken: {token}\r\nHost".encode(), 1)


def test_slow_uploads_of_an_editor_leave_threads_for_pages(port, upload_of_an_editor):
    """More of them than all processes have threads: half of the threads read bodies, and the other uploads wait."""
    with ExitStack() as stack:
        uploads = [stack.enter_context(connect(port)) for _ in range(80)]
        for upload in uploads:
            upload.sendall(upload_of_an_editor)
        assert not select.select(uploads, [], [], 0.3)[0], "an upload was refused"
        for _ in range(20):
            answer = exchange(port, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", source=MEASURING)
            assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.slow("an upload waits for a thread for half a minute")
def test_an_upload_that_waits_too_long_for_a_thread_is_told_when_to_come_back(port, upload_of_an_editor):
    with ExitStack() as stack:
        uploads = [stack.enter_context(connect(port)) for _ in range(80)]
        for upload in uploads:
            upload.sendall(upload_of_an_editor + FILE_PART)
        answered: list[socket.socket] = []
        for _ in range(2 * PATIENCE):
            if answered := select.select(uploads, [], [], 1)[0]:
                break
            for upload in uploads:  # above the minimum rate, so that the threads go on reading
                with suppress(BlockingIOError):
                    upload.send(b"x" * 8192, socket.MSG_DONTWAIT)
        answer = read_all(answered[0])
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"Retry-After: 30" in answer


@pytest.mark.slow("waits for the time-outs of slow clients")
def test_clients_that_stay_after_their_refusal_end_no_process(port):
    pids = processes_of(port)
    assert len(pids) > 1
    with ExitStack() as stack:
        for number in range(20):
            stack.enter_context(connect(port, f"127.0.2.{number + 1}")).sendall(GET)
        time.sleep(4)  # a second until they are refused, two seconds until their connections are closed
    assert processes_of(port) == pids


def processes_of(port):
    """The web server's processes: the site's address is in their environment."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"VLOG_BASE_URL=http://127.0.0.1:{port}\0".encode() in path.read_bytes():
                found.add(path.parent.name)
    return found
