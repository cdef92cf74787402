"""Uploads: refused before they are read where the client may not upload or nothing fits, counted while they arrive."""

import http.client
import os
import signal
import socket
import subprocess
import tempfile
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, RequestFactory

import vlog.disk
from transcoding.queue import disk_quota
from transcoding.tests.conftest import wait_for
from videos import uploads
from videos.models import Video
from videos.tests.factories import TranscodingJobFactory
from videos.tests.live import chromium, site
from videos.uploads import form
from vlog.environment import Reserve

ADD = "/admin/videos/video/add/"
HUGE = 1 << 50
FORM = {"title": "", "description": "", "category": "", "tag_names": ""}


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    settings.UPLOADS_DIR = settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    settings.SOURCES_DIR = tmp_path / "sources"
    settings.UPLOADS_DIR.mkdir()


@pytest.fixture
def editor(client, db):
    client.force_login(User.objects.create_superuser("root"))
    return client


def send(client, size=100_000):
    return client.post(ADD, {**FORM, "file": SimpleUploadedFile("walk.mp4", b"x" * size)})


def text(response):
    return response.content.decode()


def test_a_file_is_taken_where_it_fits(editor):
    assert send(editor).status_code == 302
    assert Video.objects.count() == 1


def test_below_the_mark_no_file_is_taken_and_its_bytes_are_not_read(editor, settings):
    settings.DISK_RESERVE = Reserve(shares=(1.0,))
    response = send(editor)
    assert response.status_code == 507
    assert "There is not enough disk space: the file has 98" in text(response)
    assert not Video.objects.exists()
    assert list(settings.UPLOADS_DIR.iterdir()) == []


def test_what_was_promised_to_others_is_not_given_away(editor):
    TranscodingJobFactory(plan={}, reserved_bytes=HUGE)
    assert send(editor).status_code == 507


def test_forms_without_a_file_are_taken_on_a_disk_that_is_low(editor, settings):
    settings.DISK_RESERVE = Reserve(shares=(1.0,))
    assert editor.post("/admin/videos/tag/add/", {"name": "Sea", "slug": "sea"}).status_code == 302
    assert editor.post(ADD, FORM).status_code == 200  # the form with an error: the file is missing


def test_a_length_that_is_no_number_is_no_crash(editor):
    response = editor.generic("POST", ADD, b"", content_type="multipart/form-data; boundary=x", CONTENT_LENGTH="ten")
    assert response.status_code < 500


@pytest.fixture
def disk(settings, tmp_path):
    """A disk of 32 MB for the data folder, of which half a megabyte stays free."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder], check=False).returncode:
        pytest.skip("mounting a file system of a few megabytes takes root's rights here")
    settings.DATA_DIR, settings.DISK_RESERVE = folder, Reserve(sizes=(512 << 10,))
    settings.UPLOADS_DIR = settings.FILE_UPLOAD_TEMP_DIR = folder / "uploads"
    settings.SOURCES_DIR = folder / "sources"
    settings.UPLOADS_DIR.mkdir()
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def used(folder):
    """The bytes of the disk that a folder's files have, written or only allocated."""
    sizes = []
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            sizes.append(path.stat().st_blocks * 512)
    return sum(sizes)


def test_a_file_that_does_not_fit_is_refused_and_nothing_stays(editor, disk, settings):
    response = send(editor, 40 << 20)
    assert response.status_code == 507
    assert "There is not enough disk space: the file has 40.0 MB, and 31.5 MB are available" in text(response)
    assert list(settings.UPLOADS_DIR.iterdir()) == []
    assert not Video.objects.exists()
    assert send(editor).status_code == 302  # the next one fits


def test_the_bytes_that_a_file_was_too_small_for_are_free_again(editor, disk, settings):
    with tempfile.NamedTemporaryFile(dir=settings.UPLOADS_DIR) as arriving:
        assert disk_quota.allocate(arriving.fileno(), 20 << 20)
        assert (used(settings.UPLOADS_DIR), arriving.seek(0, os.SEEK_END)) == (20 << 20, 0)
        with pytest.raises(disk_quota.InsufficientSpace, match=r"the file has 12.0 MB, and 11.5 MB are available"):
            disk_quota.check(12 << 20)
        os.truncate(arriving.name, 0)
        disk_quota.check(12 << 20)


def test_where_a_file_system_cannot_allocate_writing_stops_at_the_reserve(editor, disk, settings, monkeypatch):
    monkeypatch.setattr(vlog.disk, "KEEP_SIZE", 1 << 20)  # a mode that no file system knows
    available = vlog.disk.usage().available
    fill = disk / "fill"
    fill.write_bytes(b"x" * (available - (1 << 20)))
    response = send(editor, 900_000)
    assert response.status_code == 302
    response = send(editor, 200_000)
    assert response.status_code == 507
    Video.objects.all().delete()
    handler = form.UploadHandler(RequestFactory().post("/"))
    handler.new_file("file", "walk.mp4", "video/mp4", None)
    with pytest.raises(PermissionDenied):
        deque(handler.receive_data_chunk(b"x" * 65536, start) for start in range(0, 2 << 20, 65536))
    assert 0 < vlog.disk.usage().reserve - vlog.disk.usage().free <= 65536
    handler.discard_unfinished()
    assert list(settings.UPLOADS_DIR.iterdir()) == []


def test_a_real_file_system_allocates():
    with tempfile.NamedTemporaryFile(dir=settings.DATA_DIR) as file:
        assert vlog.disk.allocate(file.fileno(), 10 << 20)
        file.write(b"x" * 100_000)
        file.flush()
        assert os.fstat(file.fileno()).st_blocks * 512 >= 10 << 20
        file.truncate(100_000)
        assert os.fstat(file.fileno()).st_blocks * 512 < 200_000


FILE = (
    b'--x\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n' + b"a" * 32 + b"\r\n"
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="walk.mp4"\r\n\r\nbytes\r\n--x--\r\n'
)
MULTIPART = "multipart/form-data; boundary=x"
# Pages, forms, APIs, and an address that does not exist.
ADDRESSES = [
    *("/", "/search/", "/admin/login/", "/admin/videos/tag/add/", ADD, "/admin/videos/video/1/poster/"),
    *("/media/1/720p/00000.m4s", "/api/v1/videos/1/restore", "/api/worker/v1/claim", "/no/such/address/"),
]


class TestWhoMay:
    @pytest.fixture
    def stranger(self, db):
        client = Client(enforce_csrf_checks=True)
        client.cookies["csrftoken"] = "a" * 32
        return client

    @pytest.fixture
    def unused(self, settings):
        """Fail a test during which a file was created in the uploads folder, even if it was deleted again."""
        before = settings.UPLOADS_DIR.stat().st_mtime_ns
        yield
        assert settings.UPLOADS_DIR.stat().st_mtime_ns == before

    @pytest.mark.usefixtures("unused")
    @pytest.mark.parametrize("address", ADDRESSES)
    def test_a_file_of_a_stranger_is_written_nowhere(self, stranger, address):
        response = stranger.post(address, FILE, content_type=MULTIPART)
        assert response.status_code in (401, 403, 404)
        response = stranger.generic("POST", address, FILE, content_type=MULTIPART, CONTENT_LENGTH="5000000")
        assert response.status_code in (401, 403, 404, 413)

    @pytest.mark.usefixtures("unused")
    def test_a_session_that_has_expired_is_named(self, stranger):
        for address in (ADD, "/admin/videos/video/1/poster/"):
            response = stranger.post(address, FILE, content_type=MULTIPART)
            assert response.status_code == 403
            assert "Log in, then upload the file again." in text(response)
        large = stranger.generic("POST", ADD, FILE, content_type=MULTIPART, CONTENT_LENGTH="5000000")
        assert (large.status_code, "Log in, then upload" in text(large)) == (403, True)

    @pytest.mark.usefixtures("unused")
    def test_an_account_without_the_permission_is_told(self, client, db):
        client.force_login(User.objects.create_user("guest", is_staff=True))
        response = client.post(ADD, FILE, content_type=MULTIPART)
        assert (response.status_code, "Your account may not upload files here" in text(response)) == (403, True)

    @pytest.mark.usefixtures("unused")
    def test_an_editor_sends_no_file_to_an_address_that_takes_none(self, editor):
        response = editor.post("/admin/videos/tag/add/", FILE, content_type=MULTIPART)
        assert (response.status_code, "This address accepts no files." in text(response)) == (403, True)

    def test_a_program_reads_json(self, editor):
        response = editor.generic("POST", "/api/v1/videos/1/restore", b"x", MULTIPART, CONTENT_LENGTH="5000000")
        assert (response.status_code, response.json()["detail"][:29]) == (413, "A form without files may have")

    @pytest.mark.parametrize("content_type", [MULTIPART, "application/x-www-form-urlencoded"])
    def test_a_form_that_is_too_large_is_not_read(self, editor, content_type):
        response = editor.generic("POST", "/admin/videos/tag/add/", b"x", content_type, CONTENT_LENGTH="524289")
        assert (response.status_code, "A form without files may have 512.0 KB at most" in text(response)) == (413, True)

    def test_fields_stay_bounded_beside_a_file(self, editor):
        response = editor.post(ADD, {**FORM, "description": "x" * 2_700_000})
        assert response.status_code == 400
        response = editor.post(ADD, {f"field{number}": "x" for number in range(1100)})
        assert response.status_code == 400
        files = {f"file{number}": SimpleUploadedFile("walk.mp4", b"x") for number in range(41)}
        assert editor.post(ADD, {**FORM, **files}).status_code == 400
        assert not Video.objects.exists()

    @pytest.mark.parametrize("name", ["a.\0mp4", "x" * 5000 + ".mp4", "a." + "x" * 300, "..", "a\ud800.mp4"])
    def test_the_name_of_a_file_is_no_name_on_the_disk(self, editor, name, settings):
        body = FILE.replace(b"walk.mp4", name.encode(errors="surrogatepass"))
        assert editor.post(ADD, body, content_type=MULTIPART).status_code < 500
        assert list(settings.UPLOADS_DIR.iterdir()) == []

    def test_a_form_of_unknown_length_is_refused(self, editor):
        response = editor.generic("POST", ADD, FILE, MULTIPART, CONTENT_LENGTH="", HTTP_TRANSFER_ENCODING="chunked")
        assert (response.status_code, "with a Content-Length" in text(response)) == (411, True)


# With what a test client cannot send.
GARBAGE = [
    b"GET /\0 HTTP/1.1\r\nHost: 127.0.0.1",
    b"GET /watch/%00/ HTTP/1.1\r\nHost: 127.0.0.1",
    b"GET /watch/\xff\xfe/ HTTP/1.1\r\nHost: 127.0.0.1",
    b"GET /?q=\xff%00 HTTP/1.1\r\nHost: 127.0.0.1",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\0",
    b"GET / HTTP/1.1\r\nHost: \xff\xfe",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: sessionid=\0",
    b'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: sessionid="\\000"',
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain; charset=\0",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain; charset=hex",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic \0\xff",
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1",
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: " + b"9" * 5000,
    b"NONSENSE\0 / HTTP/9.9\r\nHost: 127.0.0.1",
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow("starts a web server of its own")
class TestSockets:
    @pytest.fixture
    def address(self, disk):
        with site(VLOG_DATA_DIR=str(disk), VLOG_DISK_RESERVE="512K", VLOG_SECRET_KEY=settings.SECRET_KEY) as address:
            yield address

    @pytest.fixture
    def cookies(self):
        """Return the cookies of a new editor's session."""

        def log_in(name):
            client = Client()
            client.force_login(User.objects.create_superuser(name))
            return f"sessionid={client.cookies['sessionid'].value}; csrftoken={'a' * 32}"

        return log_in

    def begin(self, address, path, size, cookies=f"csrftoken={'a' * 32}", **headers):
        """Send the headers and the first bytes of an upload; return its connection."""
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=90)
        connection.putrequest("POST", path)
        headers = {"Content-Type": MULTIPART, "Content-Length": str(size), "Cookie": cookies, **headers}
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(FILE.partition(b"bytes")[0])
        return connection

    def test_strangers_leave_no_byte_on_the_disk(self, address, settings):
        size, sent = 8 << 20, threading.Event()

        def attack(number):
            path = ADDRESSES[number % len(ADDRESSES)]
            with closing(self.begin(address, path, size)) as connection:
                with suppress(OSError):
                    for _ in range(size >> 16):
                        connection.send(b"x" * 65536)
                with suppress(OSError, http.client.HTTPException):
                    return connection.getresponse().status
            return 0

        def watch():
            most = 0
            while not sent.is_set():
                most = max(most, used(settings.UPLOADS_DIR))
            return most

        with ThreadPoolExecutor(21) as pool:
            most = pool.submit(watch)
            statuses = set(pool.map(attack, range(20)))
            sent.set()
        assert statuses <= {0, 401, 403, 404, 413}
        assert most.result() == 0

    def test_the_second_editor_is_told_before_the_transfer(self, address, cookies, settings):
        ann, bob = cookies("ann"), cookies("bob")
        with closing(self.begin(address, ADD, 20 << 20, ann)):
            wait_for(lambda: used(settings.UPLOADS_DIR) >= 20 << 20, "the allocation of the first upload")
            with closing(self.begin(address, ADD, 15 << 20, bob)) as second:
                answer = second.getresponse()
                page = answer.read().decode()
            assert (answer.status, "the file has 15.0 MB, and 11.5 MB are available" in page) == (507, True)
            assert used(settings.UPLOADS_DIR) == 20 << 20
        wait_for(lambda: used(settings.UPLOADS_DIR) == 0, "the end of the interrupted upload")
        assert list(settings.UPLOADS_DIR.iterdir()) == []
        with closing(self.begin(address, ADD, 15 << 20, bob)):
            wait_for(lambda: used(settings.UPLOADS_DIR) >= 15 << 20, "the allocation of the next upload")
        assert not Video.objects.exists()

    def test_a_body_of_unknown_length_is_not_read(self, address, cookies, settings):
        ann = cookies("ann")
        for cookie in (ann, f"csrftoken={'a' * 32}"):
            with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=90)) as connection:
                connection.putrequest("POST", ADD)
                for name, value in (("Content-Type", MULTIPART), ("Transfer-Encoding", "chunked"), ("Cookie", cookie)):
                    connection.putheader(name, value)
                connection.endheaders(b"10000\r\n")
                assert connection.getresponse().status == 411
        assert used(settings.UPLOADS_DIR) == 0

    def test_garbage_is_refused(self, address):
        host, _, port = urlsplit(address).netloc.partition(":")
        answers = {}
        for head in GARBAGE:
            with socket.create_connection((host, int(port)), 90) as connection:
                connection.sendall(head + b"\r\nConnection: close\r\n\r\n")
                answers[head] = connection.makefile("rb").read(10)
        assert set(answers.values()) == {b"HTTP/1.1 4"}, answers

    def test_a_killed_server_leaves_a_file_that_the_sweep_recognises(self, address, cookies, settings):
        with closing(self.begin(address, ADD, 20 << 20, cookies("ann"))):
            wait_for(lambda: used(settings.UPLOADS_DIR) >= 20 << 20, "the allocation")
            (file,) = settings.UPLOADS_DIR.iterdir()
            os.utime(file, (0, 0))
            assert uploads.leftovers() == []  # it is being received, however long that takes
            for link in Path("/proc").glob("[0-9]*/fd/*"):
                with suppress(OSError):
                    if link.readlink() == file:
                        os.kill(int(link.parts[2]), signal.SIGKILL)
            wait_for(uploads.leftovers, "the death of the process")
            assert uploads.sweep_leftovers() == 1
        assert list(settings.UPLOADS_DIR.iterdir()) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow("starts a web server of its own and uploads in a browser")
def test_a_real_server_answers_before_the_bytes_are_sent_and_the_editor_reads_why(tmp_path):
    User.objects.create_superuser("root", password="open-sesame")
    file = tmp_path / "walk.mp4"
    file.write_bytes(os.urandom(100_000))
    with site() as address, chromium() as browser:
        page = browser.new_page(base_url=address)
        page.goto("/admin/login/?next=" + ADD)
        page.fill("[name=username]", "root")
        page.fill("[name=password]", "open-sesame")
        page.click("[type=submit]")
        job = TranscodingJobFactory(plan={}, reserved_bytes=HUGE)
        page.set_input_files("[name=file]", file)
        page.click("[name=_save]")
        page.wait_for_selector("[data-state=failed]", timeout=90_000)
        sentence = page.inner_text(".uploads .status")
        assert sentence.startswith("There is not enough disk space: the file has 97.7 KB")
        job.delete()
        page.get_by_role("button", name="Retry").click()
        page.wait_for_selector("[data-state=done]", timeout=90_000)
    assert Video.objects.filter(title="walk").exists()
