"""Pages are fetched by a program of the operator's: here a small one of the tests', confined as `yt-dlp` would be."""

import sys

import pytest
from django.contrib.auth.models import Group, User

from transcoding.engine.ffmpeg import confinement
from videos.imports import pages, transfers
from videos.models import Import, Video
from videos.storage.paths import source_path
from videos.tests.origin import LOOPBACK, origin
from vlog.celery import app
from vlog.imports import Imports
from vlog.models import Via

pytestmark = pytest.mark.django_db

# It takes the arguments of yt-dlp that VLog gives it, and fetches FILE beside the address through the proxy.
PROGRAM = """
import json, os, pathlib, socket, sys, urllib.request
arguments = dict(zip(sys.argv[1:], sys.argv[2:]))
target, address = arguments["-o"].replace("%(title).150B", "A_walk"), sys.argv[-1]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": arguments["--proxy"]}))
DO
body = opener.open(address.replace("/watch", "/film.mp4"), timeout=20).read()
pathlib.Path(target.replace("%(ext)s", "mp4")).write_bytes(body)
info = {"title": "A walk", "tags": ["sea"], "upload_date": "20200102", "extractor": "x", "secrets": sorted(os.environ)}
pathlib.Path(target.replace("%(ext)s", "info.json")).write_text(json.dumps(info))
"""


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    settings.UPLOADS_DIR, settings.SOURCES_DIR = tmp_path / "uploads", tmp_path / "sources"
    settings.UPLOADS_DIR.mkdir()
    yield
    app.control.purge()


@pytest.fixture
def server():
    with origin() as server:
        yield server


@pytest.fixture
def fetched(settings, tmp_path, server):
    """Import a page with a program that does something first; returns the import."""

    def fetch(do="", networks=LOOPBACK.networks, host="127.0.0.1"):
        (tmp_path / "program.py").write_text(PROGRAM.replace("DO", do))
        settings.IMPORTS = Imports(networks=networks, pages=(sys.executable, str(tmp_path / "program.py")))
        editor = User.objects.create_user("ann", is_staff=True)
        editor.groups.add(Group.objects.get(name="Editors"))
        row = transfers.ask(
            editor, server.url.replace("127.0.0.1", host) + "/watch", {"tags": "sand"}, via=Via.FORM, is_page=True
        )
        transfers.run()
        row.refresh_from_db()
        return row

    return fetch


def test_the_video_of_a_page_comes_with_what_the_page_says(fetched, server, settings):
    row = fetched()
    assert (row.state, row.error) == ("done", "")
    video = Video.objects.get(pk=row.video_id)
    assert (video.title, video.published_at.year) == ("A walk", 2020)
    assert sorted(tag.name for tag in video.tags.all()) == ["sand", "sea"]
    assert source_path(video).read_bytes() == server.content
    assert list(settings.UPLOADS_DIR.iterdir()) == []


def test_the_program_knows_no_secret(fetched, monkeypatch, tmp_path):
    monkeypatch.setenv("VLOG_SECRET_KEY", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    do = 'assert not [name for name in os.environ if name.startswith(("VLOG_SECRET", "AWS_"))]'
    assert fetched(do).state == "done"


@pytest.mark.skipif("files" not in confinement.protections(), reason="this kernel has no Landlock")
def test_the_program_writes_nowhere_else(fetched, tmp_path):
    row = fetched(f'pathlib.Path("{tmp_path}/elsewhere").write_text("x")')
    assert row.state == "failed"
    assert "Permission" in row.error
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif("TCP" not in confinement.protections(), reason="this kernel cannot confine connections")
def test_the_program_connects_to_the_proxy_alone(fetched, server):
    port = server.server_address[1]
    row = fetched(f'socket.create_connection(("127.0.0.1", {port}), 5)')
    assert row.state == "failed"
    assert "Permission" in row.error
    assert server.asked == []


def test_the_proxy_refuses_private_networks(fetched, server, settings, tmp_path, monkeypatch):
    monkeypatch.setattr(
        transfers.addresses.fetching, "check", lambda url, reach: None
    )  # as if the name were a public one
    row = fetched(networks=())
    assert row.state == "failed"
    assert "127.0.0.1 has no public address." in row.error
    assert server.asked == []


def test_a_video_that_is_too_large_is_not_fetched_to_its_end(fetched, monkeypatch):
    monkeypatch.setattr(pages.disk_quota, "available", lambda: 1000)
    row = fetched()
    assert row.state == "failed"
    assert not Video.objects.exists()


def test_a_program_that_fails_or_finds_nothing_is_a_sentence(fetched, settings):
    row = fetched("sys.exit('ERROR: Unsupported URL')")
    assert (row.state, row.error.endswith("ERROR: Unsupported URL")) == ("failed", True)
    assert list(settings.UPLOADS_DIR.iterdir()) == []
    Import.objects.update(state="waiting")
    settings.IMPORTS = Imports(networks=LOOPBACK.networks, pages=("true",))
    transfers.run()
    row.refresh_from_db()
    assert row.error == pages.NOTHING


def test_one_that_is_cancelled_ends_the_program(fetched, monkeypatch):
    monkeypatch.setattr(Import, "renew", lambda self: not self.cancel())
    assert fetched("import time; time.sleep(60)").state == "cancelled"
