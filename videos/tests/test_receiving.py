"""Uploads that do not fit: refused before their bytes are read, or when the disk becomes full."""

import http.client
import os
import subprocess
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile

from videos.models import Video
from videos.tests.factories import TranscodingJobFactory
from videos.tests.live import chromium, site
from vlog.environment import Reserve

ADD, SPACE = "/admin/videos/video/add/", "/admin/videos/video/space/"
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
    assert "The upload of 98" in text(response)
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


@pytest.mark.parametrize(
    ("size", "status", "error"),
    [
        ("1000", 200, ""),
        (str(HUGE), 200, "There is not enough disk space: the file has 1.0 PB, and "),
        ("", 400, "Give the size"),
    ],
)
def test_the_form_asks_before_it_sends(editor, size, status, error):
    response = editor.get(SPACE, {"bytes": size})
    assert response.status_code == status
    assert response.json()["error"].startswith(error)
    assert bool(response.json()["error"]) == bool(error)


@pytest.mark.parametrize("size", ["-1", "1e9", "²", "9" * 30])
def test_what_is_no_size_is_refused(editor, size):
    assert editor.get(SPACE, {"bytes": size}).status_code == 400


@pytest.fixture
def tiny_uploads(settings, tmp_path):
    """A file system of one megabyte for uploads."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False).returncode:
        pytest.skip("mounting a file system of a few megabytes takes root's rights here")
    settings.UPLOADS_DIR = settings.FILE_UPLOAD_TEMP_DIR = disk / "uploads"
    settings.SOURCES_DIR = disk / "sources"
    settings.UPLOADS_DIR.mkdir()
    yield settings.UPLOADS_DIR
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_disk_that_becomes_full_while_a_file_arrives_is_told_and_nothing_stays(editor, tiny_uploads):
    response = send(editor, 3 << 20)
    assert response.status_code == 507
    assert "became full during the upload" in text(response)
    assert list(tiny_uploads.iterdir()) == []
    assert not Video.objects.exists()
    assert send(editor).status_code == 302  # the next one fits


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
        assert "The upload of 1.0" in announce(address, 1 << 40)
        page.set_input_files("[name=file]", file)
        page.click("[name=_save]")
        page.wait_for_selector(".upload-meter.failed", timeout=90_000)
        assert page.inner_text(".upload-meter").startswith("There is not enough disk space: the file has 97.7 KB")
        job.delete()
        page.click("[name=_save]")
        page.wait_for_selector(".messagelist .success", timeout=90_000)
    assert Video.objects.filter(title="walk").exists()


def announce(address, size):
    """Return the server's answer to the headers of an upload, of which no byte is sent."""
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=90)) as connection:
        connection.putrequest("POST", ADD)
        connection.putheader("Content-Type", "multipart/form-data; boundary=x")
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        response = connection.getresponse()
        assert response.status == 507
        return response.read().decode()
