"""The tray of uploads in Chromium: files that are dropped on the desk, and uploads that outlive its pages."""

import os

import pytest
from django.contrib.auth.models import User

from videos.models import Upload, Video
from videos.storage.paths import source_path
from videos.tests import live
from videos.tests.test_looks import PASSWORD, is_too_wide, visit  # noqa: F401 - a fixture
from videos.tests.test_upload_browser import FAST, SLOW, throttle, wait_for_bytes
from vlog.tests.processes import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

TIMEOUT = live.PATIENCE * 1000
SIZE = 1_500_000
LIST = "/admin/videos/video/"


@pytest.fixture(scope="module")
def video(django_db_setup):
    """None: the site starts without rows, and each test commits its own."""


@pytest.fixture
def desk(visit, address):  # noqa: F811
    """Return a function that opens a page of the desk in a browser of its own, as an editor."""
    User.objects.create_superuser("editor", password=PASSWORD)

    def open_page(path="/admin/", **options):
        page = visit("/", **options)
        page.set_default_timeout(TIMEOUT)
        page.on("dialog", lambda dialog: dialog.accept())
        live.log_in(page, address, "editor", PASSWORD)
        page.goto(address + path)
        return page

    return open_page


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / name for name in ("lake.mp4", "walk.mp4", "hill.mp4")]
    for path in paths:
        path.write_bytes(os.urandom(SIZE))
    return paths


def drop(page, paths):
    """Drop files on the middle of the page, as a person does."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 600, "y": 300, "data": data})


def row(page, name):
    return page.locator("#tray .upload", has_text=name)


def framed(page):
    return page.frame_locator("#desk-frame")


@pytest.mark.slow("uploads to a real server in a browser")
def test_dropped_files_go_on_while_one_moves_between_pages(desk, files, address):
    page = desk("/admin/")
    throttle(page, SLOW)
    drop(page, files)
    wait_for_bytes(1)
    page.get_by_role("button", name="Pause walk.mp4").click()
    assert row(page, "walk.mp4").get_attribute("data-state") == "paused"
    row(page, "lake.mp4").get_by_text("/s").wait_for()
    page.locator("#nav-sidebar").get_by_role("link", name="Videos").click()
    framed(page).locator("#changelist").wait_for()
    live.until(page, f"location.href === '{address}{LIST}' && document.title.startsWith('Videos')")
    framed(page).locator("#nav-sidebar").get_by_role("link", name="Tags").click()
    framed(page).get_by_role("heading", name="Tags").wait_for()
    page.go_back()
    framed(page).locator("#changelist").wait_for()
    live.until(page, f"location.href === '{address}{LIST}'")
    page.go_back()
    framed(page).locator(".columns.start").wait_for()
    live.until(page, f"location.href === '{address}/admin/'")
    assert Upload.objects.unfinished().count() == 3
    throttle(page, FAST)
    page.get_by_role("button", name="Continue walk.mp4").click()
    page.locator("#tray [data-state=done]").nth(2).wait_for()
    assert sorted(source_path(video).read_bytes() for video in Video.objects.all()) == sorted(
        path.read_bytes() for path in files
    )
    framed(page).locator("#nav-sidebar").get_by_role("link", name="Tags").click()
    page.wait_for_url(f"{address}/admin/videos/tag/")
    assert page.locator("#desk-frame").count() == 0
    assert page.witness.complaints == []


@pytest.mark.slow("uploads to a real server in a browser")
def test_after_a_reload_the_list_offers_the_rest_and_the_same_file_goes_on(desk, files):
    page = desk(LIST, viewport={"width": 390, "height": 800})
    throttle(page, SLOW)
    page.set_input_files("#tray-files", files[0])
    wait_for_bytes(1)
    row(page, "lake.mp4").get_by_text("Details").click()
    row(page, "lake.mp4").get_by_label("Title").fill("At the lake")
    row(page, "lake.mp4").get_by_label("Tags").fill("Water")
    row(page, "lake.mp4").get_by_label("Tags").blur()
    wait_until(lambda: Upload.objects.filter(title="At the lake", tags="Water").exists(), "the details")
    assert not is_too_wide(page)
    page.reload()
    row(page, "lake.mp4").get_by_text("Choose the file again to continue.").wait_for()
    throttle(page, FAST)
    page.set_input_files("#tray-files", files[0])
    page.get_by_role("link", name="Edit “At the lake”").wait_for()
    assert list(Video.objects.get().tags.values_list("name", flat=True)) == ["Water"]
    assert page.evaluate("localStorage.getItem('vlog-unfinished-uploads')") is None


@pytest.mark.slow("uploads to a real server in a browser")
def test_leaving_the_desk_asks_and_the_live_region_speaks_of_ends_only(desk, files, tmp_path, address):
    page = desk("/admin/")
    (tmp_path / "notes.txt").write_text("No video.")
    throttle(page, SLOW)
    page.set_input_files("#tray-files", [files[0], tmp_path / "notes.txt"])
    row(page, "notes.txt").get_by_text("Not a video.").wait_for()
    wait_for_bytes(1)
    said = "document.getElementById('tray-status').textContent"
    assert page.evaluate(said).startswith("notes.txt has failed.")
    page.get_by_role("button", name="Remove notes.txt").click()
    asked = []
    page.on("dialog", lambda dialog: asked.append(dialog.type))
    page.get_by_role("link", name="View site").click()
    page.wait_for_url(f"{address}/")
    assert asked == ["beforeunload"]
