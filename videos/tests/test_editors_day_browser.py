"""The day of an editor in Chromium: from three dropped files to a published, replaced, archived and restored video."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from transcoding import tasks
from transcoding.tests import clips
from transcoding.tests.conftest import Node
from transcoding.tests.engine.sounds import tone
from videos.models import Upload, Video
from videos.tests import live
from videos.tests.test_looks import PASSWORD, visit  # noqa: F401 - a fixture
from videos.tests.test_tray_browser import drop, row
from videos.tests.test_upload_browser import FAST, throttle, wait_for_bytes
from vlog.celery import app
from vlog.tests.processes import wait_until

pytestmark = [
    pytest.mark.slow("a day of an editor, with a worker and a browser"),
    pytest.mark.django_db(transaction=True),
]

SLOW = 100_000  # bytes a second


@pytest.fixture(scope="module")
def video(django_db_setup):
    """None: the site starts without rows."""


@pytest.fixture
def files(tmp_path):
    made = [tmp_path / name for name in ("lake.mp4", "walk.mp4", "hill.mp4")]
    for number, path in enumerate(made):
        noise = ("-f", "lavfi", "-i", f"testsrc2=size=320x180:rate=25:duration=6,noise=alls={8 + number}:allf=t")
        clips.make(path, *noise, *tone(440, 6), *clips.H264, "-c:a", "aac")  # large enough to be paused
    return made


@pytest.fixture
def node(settings, tmp_path):
    app.control.purge()
    node = Node("editor", "tasks,encode", settings.REDIS_URL, tmp_path / "node.log")
    yield node
    node.stop()
    print(node.log.read_text())  # noqa: T201 - shown where the test fails


def save(page):
    page.keyboard.press("Control+s")
    page.locator(".messagelist .success").first.wait_for()


def upload(page, files):
    """Drop three files, pause one, describe it, reload the page and resume; return the video of the described one."""
    throttle(page, SLOW)
    drop(page, files)
    wait_for_bytes(1)
    page.get_by_role("button", name="Pause walk.mp4").click()
    wait_until(lambda: Upload.objects.filter(name="walk.mp4").exists(), "the beginning of the upload")
    row(page, "walk.mp4").get_by_text("Details").click()
    row(page, "walk.mp4").get_by_label("Title").fill("A walk")
    row(page, "walk.mp4").get_by_label("Tags").fill("Hills, Autumn")
    row(page, "walk.mp4").get_by_label("Tags").blur()
    wait_until(lambda: Upload.objects.filter(title="A walk", tags="Hills, Autumn").exists(), "the details")
    page.reload()
    row(page, "walk.mp4").get_by_text("Choose the file again to continue.").wait_for()
    throttle(page, FAST)
    page.set_input_files("#tray-files", files)
    page.locator("#tray [data-state=done]").nth(2).wait_for()
    return Video.objects.get(title="A walk")


def wait_for_videos(number, node):
    """Wait for one video after the other. A lost message is sent again by the sweep, which beat starts on a site."""
    for made in range(1, number + 1):
        wait_until(lambda made=made: are_ready(made, node), f"video {made} of {number}")


def are_ready(number, node):
    tasks.sweep()
    failed = Video.objects.filter(status="failed").values_list("title", "error_message")
    assert not failed.exists(), (list(failed), node.log.read_text())
    return Video.objects.filter(status="ready").count() >= number


def pick_poster(page):
    page.get_by_role("button", name="Play preview").click()
    live.until(page, "document.querySelector('#screen video')?.readyState >= 2")
    page.evaluate("document.querySelector('#screen video').pause()")
    page.evaluate("document.querySelector('#screen video').currentTime = 3")
    page.get_by_role("button", name="Use this frame, 0:03").click()


def schedule(page, walk):
    page.get_by_role("radio", name="Private").check()
    save(page)
    tomorrow = timezone.localdate() + timedelta(days=1)
    page.get_by_role("radio", name="Public").check()
    page.get_by_role("group", name="From").get_by_label("Day").fill(tomorrow.isoformat())
    page.get_by_role("group", name="From").get_by_label("Time").fill("09:00")
    save(page)
    walk.refresh_from_db()
    assert (walk.visibility, walk.changes.get().visibility, walk.poster_version) == ("private", "public", 1)


def publish(page):
    page.get_by_label("Cancel the planned changes").check()
    page.get_by_role("radio", name="Public").check()
    save(page)


def replace(page, walk, file):
    """Replace the file, and go back."""
    page.set_input_files("#replace-file", file)
    page.get_by_role("button", name="Replace file").click()
    row(page, "A walk").get_by_text("It replaces the file").wait_for()
    wait_until(lambda: walk.file_versions.filter(state="current", number=2).exists(), "the new version")
    page.reload()
    page.get_by_text("Versions · 2").click()
    page.get_by_role("button", name="Back to this version 1").click()
    page.get_by_text("Viewers watch version 1 now.").wait_for()


def archive_and_restore(page, walk):
    page.locator(".quiet-actions a").click()
    page.locator("#content [type=submit]").click()
    page.get_by_role("link", name="Archived videos").click()
    page.get_by_role("link", name="A walk").first.click()
    assert Video.objects.get(pk=walk.pk).deleted_at is not None
    page.get_by_role("button", name="Restore").click()
    wait_until(lambda: Video.objects.get(pk=walk.pk).deleted_at is None, "the restoration")


def test_an_editors_day(visit, address, files, node):  # noqa: F811
    User.objects.create_superuser("editor", password=PASSWORD)
    page = visit("/")
    page.set_default_timeout(live.PATIENCE * 1000)
    page.on("dialog", lambda dialog: dialog.accept())
    live.log_in(page, address, "editor", PASSWORD)
    walk = upload(page, files)
    wait_for_videos(3, node)
    page.goto(f"{address}/admin/videos/video/{walk.pk}/change/")
    pick_poster(page)
    schedule(page, walk)
    publish(page)
    assert visit(f"/watch/{walk.slug}/").locator("h1").inner_text() == "A walk"
    replace(page, walk, files[2])
    archive_and_restore(page, walk)
    assert page.witness.complaints == []
