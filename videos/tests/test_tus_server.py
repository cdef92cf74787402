"""Resumable uploads through a real web server: with tuspy, with `manage.py upload`, killed and restarted."""

import hashlib
import io
import os
import random
import signal
import socket
import threading
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from django.conf import settings as site_settings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

from videos.management import tus_client as client
from videos.models import CaptionTrack, Upload, Video
from videos.storage.paths import source_path
from videos.tests import live
from videos.uploads import transfer
from vlog import tokens
from vlog.tests.processes import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

UPLOADS = "/api/v1/uploads/"
SLOW = {"VLOG_SILENCE_SECONDS": "2"}
KILLS = 50


@pytest.fixture(scope="module")
def address(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), live.site(**SLOW) as address:
        yield address


@pytest.fixture
def token(db):
    return tokens.create(User.objects.create_superuser("ann"), ["upload"])[0]


@pytest.fixture
def tus(address, token):
    return TusClient(address + UPLOADS, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "walk.mp4"
    path.write_bytes(os.urandom(3_000_000))
    return path


@pytest.fixture
def stream(file):
    with file.open("rb") as stream:  # tuspy would not close what it opens
        yield stream


def the_video(file):
    video = Video.objects.get()
    assert source_path(video).read_bytes() == file.read_bytes()
    return video


class TestTuspy:
    def test_sends_a_file(self, tus, file, stream):
        uploader = tus.uploader(file_stream=stream, metadata={"filename": "walk.mp4", "title": "By tuspy"})
        uploader.upload()
        assert the_video(file).title == "By tuspy"

    def test_sends_it_in_pieces_with_checksums_and_continues_in_another_program(self, tus, file, stream):
        uploader = tus.uploader(
            file_stream=stream, chunk_size=700_000, upload_checksum=True, metadata={"filename": "walk.mp4"}
        )
        uploader.upload(stop_at=1_400_000)
        assert not Video.objects.exists()
        another = tus.uploader(file_stream=stream, url=uploader.url, chunk_size=1_000_000)
        assert another.offset == 1_400_000
        another.upload()
        the_video(file)

    def test_is_told_of_bytes_that_were_changed(self, tus, file):
        uploader = tus.uploader(file_stream=io.BytesIO(b"x" * 1000), chunk_size=1000, upload_checksum=True)
        uploader.set_url(uploader.create_url())
        uploader._BaseUploader__checksum_algorithm = hashlib.sha256
        with pytest.raises(TusUploadFailed) as failure:
            uploader.upload()
        assert failure.value.status_code == 460
        assert uploader.get_offset() == 0

    def test_without_the_right_token_begins_nothing(self, address, stream):
        stranger = TusClient(address + UPLOADS, headers={"Authorization": "Bearer x"})
        with pytest.raises(TusCommunicationError):
            stranger.uploader(file_stream=stream).upload()
        assert not Upload.objects.exists()


def half_sent(address, token, url, data, offset=0):
    """Return a connection that has sent half of the bytes that it announced."""
    parts = urlsplit(address)
    connection = socket.create_connection((parts.hostname, parts.port), 30)
    head = [
        f"PATCH {url} HTTP/1.1", f"Host: {parts.netloc}", f"Authorization: Bearer {token}", "Tus-Resumable: 1.0.0",
        "Content-Type: application/offset+octet-stream", f"Upload-Offset: {offset}", f"Content-Length: {len(data)}",
    ]  # fmt: skip
    connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + data[: len(data) // 2])
    return connection


def arrived(key):
    return transfer.offset_of(Upload.objects.get(pk=key))


class TestConnections:
    @pytest.fixture
    def url(self, tus, stream):
        return urlsplit(tus.uploader(file_stream=stream, metadata={"filename": "walk.mp4"}).create_url()).path

    @pytest.fixture
    def key(self, url):
        return url.rstrip("/").rpartition("/")[2]

    def test_what_arrived_before_the_line_broke_is_kept(self, address, token, tus, url, key, file, stream):
        data = file.read_bytes()
        with closing(half_sent(address, token, url, data)):
            wait_until(lambda: arrived(key) >= 1_400_000, "half of the file")
        wait_until(lambda: Upload.objects.get().offset >= 1_400_000, "the end of the request")
        tus.uploader(file_stream=stream, url=address + url).upload()
        the_video(file)

    def test_a_client_that_stops_is_ended_and_its_bytes_are_kept(self, address, token, url, key, file):
        with closing(half_sent(address, token, url, file.read_bytes())) as connection:
            assert b" 400 " in connection.recv(100)  # after VLOG_SILENCE_SECONDS
        assert 1_500_000 - transfer.BLOCK < arrived(key) <= 1_500_000

    def test_a_slow_client_has_the_time_that_it_needs(self, address, token, url, key, file):
        """A body of more than half a megabyte has a minimum rate and no deadline, as in the form."""
        data = file.read_bytes()
        with closing(half_sent(address, token, url, data)) as connection:
            rest = data[len(data) // 2 :]
            for start in range(0, len(rest), 300_000):
                connection.sendall(rest[start : start + 300_000])
                threading.Event().wait(1)  # five of them are longer than VLOG_SILENCE_SECONDS
            assert b" 204 " in connection.recv(100)
        the_video(file)

    def test_a_second_connection_waits_for_the_first(self, address, token, url, key, file):
        data = file.read_bytes()
        with closing(half_sent(address, token, url, data)):
            wait_until(lambda: arrived(key) >= 1_400_000, "half of the file")
            answer = requests.patch(
                address + url,
                data=data[1_500_000:],
                headers={"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0", "Upload-Offset": "1500000",
                         "Content-Type": "application/offset+octet-stream"},
                timeout=30,
            )  # fmt: skip
            assert answer.status_code == 423


def receivers():
    """Return the processes that have the file of an upload open."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if str(link.readlink()).startswith(str(site_settings.UPLOADS_DIR)):
                found.add(int(link.parts[2]))
    return found - {os.getpid()}


def kill_receivers():
    """Kill the server's processes that receive. A child between fork and exec is among them, and may end first."""
    for pid in receivers():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.slow("kills the server and the client fifty times")
def test_after_fifty_kills_of_server_and_client_the_file_is_the_same(address, token, tmp_path):
    file = tmp_path / "walk.mp4"
    file.write_bytes(random.Random(1).randbytes(60_000_000))  # noqa: S311 - a file, no secret
    data = file.read_bytes()
    site = client.Site(address, token)
    upload = client.FileUpload(site, file, "", lambda sent, note: None)
    url = upload._begin()["url"]
    key = url.rstrip("/").rpartition("/")[2]
    for number in range(KILLS):
        offset = arrived(key)
        piece = data[offset : offset + 2_000_000]
        with closing(half_sent(address, token, url, piece, offset)) as connection:
            wait_until(lambda: arrived(key) > offset, "some bytes")  # noqa: B023 - it is called at once
            if number % 2:
                kill_receivers()
            if number % 2:
                with suppress(OSError):
                    connection.recv(1)
        wait_until(lambda: not receivers(), "the end of the request")
    assert upload.run({})["video"]["title"] == "walk"
    the_video(file)


class TestCommand:
    @pytest.fixture
    def token_file(self, token, tmp_path):
        path = tmp_path / "token"
        path.write_text(f"{token}\n")
        return str(path)

    @pytest.fixture
    def run(self, address, token_file):
        def run(*arguments):
            out, err = io.StringIO(), io.StringIO()
            call_command("upload", *map(str, arguments), to=address, token_file=token_file, stdout=out, stderr=err)
            return out.getvalue(), err.getvalue()

        return run

    def test_prints_the_address_of_the_video(self, run, file, address):
        out, err = run(file, "--title", "By command", "--tags", "a, b", "--visibility", "unlisted")
        video = the_video(file)
        assert out == f"{address}/watch/{video.slug}/\n"
        assert (video.title, video.tags.count()) == ("By command", 2)
        assert Upload.objects.get().visibility == "unlisted"
        assert err.splitlines()[0] == "walk.mp4:   0 %"
        assert err.splitlines()[-1] == "walk.mp4: 100 %"

    def test_continues_what_a_browser_or_another_run_began(self, run, file, address, token):
        upload = client.FileUpload(client.Site(address, token), file, "", lambda sent, note: None)
        url = upload._begin()["url"]
        with closing(half_sent(address, token, url, file.read_bytes())):
            wait_until(lambda: transfer.offset_of(Upload.objects.get()) >= 1_400_000, "half of the file")
        _, err = run(file)
        assert err.splitlines()[0].startswith("walk.mp4: ")
        assert "walk.mp4:   0 %" not in err
        assert Upload.objects.count() == 1
        the_video(file)

    def test_a_second_run_finds_what_is_there(self, run, file):
        assert run(file)[0] == run(file)[0]
        assert Video.objects.count() == 1

    def test_several_with_their_captions(self, run, file, tmp_path):
        (tmp_path / "walk.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello.\n")
        (tmp_path / "lake.mp4").write_bytes(b"lake")
        out, _ = run(file, tmp_path / "walk.srt", tmp_path / "lake.mp4")
        assert len(out.splitlines()) == Video.objects.count() == 2
        assert CaptionTrack.objects.get().video.title == "walk"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["no-such-file.mp4"], "There is no file no-such-file.mp4."),
            (["empty.mp4"], "empty.mp4 is empty (0 bytes)."),
            (
                ["walk.mp4", "lake.mp4", "--title", "x"],
                "--title is for one video; several are named after their files.",
            ),
        ],
    )
    def test_wrong_use_is_told(self, run, file, monkeypatch, arguments, message):
        monkeypatch.chdir(file.parent)
        Path("empty.mp4").touch()
        Path("lake.mp4").write_bytes(b"lake")
        with pytest.raises(CommandError) as refusal:
            run(*arguments)
        assert (str(refusal.value), refusal.value.returncode) == (message, 2)

    @pytest.mark.parametrize("content", ["", "two words", "é"])
    def test_a_file_that_has_no_token_is_told(self, file, address, tmp_path, content):
        (tmp_path / "token").write_text(content)
        with pytest.raises(CommandError, match="must contain one API token") as refusal:
            call_command("upload", str(file), to=address, token_file=str(tmp_path / "token"))
        assert refusal.value.returncode == 2

    @pytest.mark.parametrize(
        ("to", "message"),
        [("ftp://example.org", "ftp://example.org is not the address of a site"), ("nonsense", "nonsense is not")],
    )
    def test_an_address_that_is_none_is_told(self, file, token_file, to, message):
        with pytest.raises(CommandError, match=message):
            call_command("upload", str(file), to=to, token_file=token_file)

    def test_a_refusal_is_the_sentence_of_the_site(self, run, file):
        with pytest.raises(CommandError, match=r"category: There is no category “none”") as refusal:
            run(file, "--category", "none")
        assert refusal.value.returncode == 1
        User.objects.update(is_active=False)
        with pytest.raises(CommandError, match=r"The account of this token is not active"):
            run(file)

    def test_a_site_that_does_not_answer_is_tried_again(self, file, token_file, monkeypatch):
        monkeypatch.setattr(client, "WAITS", (0, 0, 0))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        err = io.StringIO()
        with pytest.raises(
            CommandError, match=r"The connection failed: Connection refused. Run the command again to continue."
        ):
            call_command("upload", str(file), to=f"http://127.0.0.1:{port}", token_file=token_file, stderr=err)
        assert err.getvalue().count("Trying again") == 3
