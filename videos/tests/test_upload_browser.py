"""The upload form in Chromium: several files at once, and uploads that go on after whatever ended them."""

import os

import pytest
from django.contrib.auth.models import User

from videos.models import CaptionTrack, Upload, Video
from videos.storage.paths import source_path
from videos.tests import live
from videos.tests.test_looks import PASSWORD, is_too_wide, visit  # noqa: F401 - a fixture
from videos.tests.test_tus_server import kill_receivers
from videos.uploads import transfer
from vlog.tests.processes import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

ADD = "/admin/videos/video/add/"
TIMEOUT = live.PATIENCE * 1000
SIZE = 6_000_000
SLOW, FAST = 300_000, -1  # bytes a second


@pytest.fixture(scope="module")
def video(django_db_setup):
    """None: the site starts without rows, and each test commits its own."""


@pytest.fixture
def form(visit, address):  # noqa: F811
    """Return a function that opens the form in a browser of its own, as an editor."""
    User.objects.create_superuser("editor", password=PASSWORD)

    def open_form(**options):
        page = visit("/", **options)
        page.set_default_timeout(TIMEOUT)
        live.log_in(page, address, "editor", PASSWORD)
        page.goto(address + ADD)
        return page

    return open_form


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "lake.mp4"
    path.write_bytes(os.urandom(SIZE))
    return path


def throttle(page, rate):
    if not hasattr(page, "network"):  # one session, because the slowest of several counts
        page.network = page.context.new_cdp_session(page)
        page.network.send("Network.enable")
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": rate}
    page.network.send("Network.emulateNetworkConditions", conditions)


def begin(page, file, **fields):
    """Begin a slow upload, and wait until a part of it is here."""
    throttle(page, SLOW)
    page.set_input_files("[name=file]", file)
    for name, value in fields.items():
        page.fill(f"#id_{name}", value)
    page.click("[name=_save]")
    wait_for_bytes(1)


def wait_for_bytes(number):
    wait_until(lambda: any(transfer.offset_of(row) >= number for row in Upload.objects.all()), f"{number} bytes")


def finish(page):
    page.wait_for_selector("[data-state=done] a")


def the_video(file):
    video = Video.objects.get()
    assert source_path(video).read_bytes() == file.read_bytes()
    assert Upload.objects.count() == 1
    return video


@pytest.mark.slow("uploads to a real server in a browser")
def test_without_javascript_the_form_sends_one_file(form, file):
    # The first test: the server caches the types of content, and the tests that follow find an emptied database.
    page = form(java_script_enabled=False)
    page.set_input_files("[name=file]", file)
    page.click("[name=_save]")
    page.locator(".messagelist .success").wait_for()
    assert source_path(Video.objects.get()).read_bytes() == file.read_bytes()


@pytest.mark.slow("uploads to a real server in a browser")
def test_after_a_reload_the_file_that_is_chosen_again_goes_on(form, file):
    page = form()
    page.on("dialog", lambda dialog: dialog.accept())  # of the page that is left during an upload
    begin(page, file, title="At the lake", tag_names="Lakes")
    page.reload()
    absent = page.locator("[data-state=absent]")
    assert "Choose the file again to continue." in absent.inner_text()
    arrived = transfer.offset_of(Upload.objects.get())
    assert arrived > 0
    throttle(page, FAST)
    page.set_input_files("[name=file]", file)
    finish(page)
    video = the_video(file)
    assert (video.title, list(video.tags.values_list("name", flat=True))) == ("At the lake", ["Lakes"])
    assert page.locator("[data-state=done] a").get_attribute("href").endswith(f"/{video.pk}/change/")
    assert page.witness.complaints == []


@pytest.mark.slow("uploads to a real server in a browser")
def test_another_browser_of_the_same_editor_goes_on(form, file):
    one, other = form(), form()
    one.on("dialog", lambda dialog: dialog.accept())
    begin(one, file)
    one.goto("about:blank")
    other.reload()
    other.set_input_files("[name=file]", file)
    finish(other)
    the_video(file)


@pytest.mark.slow("uploads to a real server in a browser")
def test_a_server_that_is_killed_and_a_line_that_breaks_are_only_an_interruption(form, file):
    page = form()
    begin(page, file)
    kill_receivers()
    wait_for_bytes(SIZE // 4)
    page.context.set_offline(True)
    page.wait_for_timeout(500)
    page.context.set_offline(False)
    throttle(page, FAST)
    finish(page)
    the_video(file)


@pytest.mark.slow("uploads to a real server in a browser")
def test_details_that_change_while_it_runs_are_saved_and_pause_waits(form, file):
    page = form()
    begin(page, file, title="First")
    page.get_by_role("button", name="Pause").click()
    page.locator("[data-state=paused]").wait_for()
    page.fill("[name=title]", "Second")
    page.get_by_text("The changes are saved.").wait_for()
    assert Upload.objects.get().title == "Second"
    page.fill("#id_tag_names", "y" * 51)
    page.locator(".errorlist", has_text="A tag has at most 50 characters.").wait_for()
    throttle(page, FAST)
    page.fill("#id_tag_names", "Lakes")
    page.get_by_text("The changes are saved.").wait_for()
    page.get_by_role("button", name="Continue lake.mp4").click()
    finish(page)
    assert the_video(file).title == "Second"


@pytest.mark.slow("uploads to a real server in a browser")
def test_errors_are_shown_at_their_fields_and_several_files_go_at_once(form, file, tmp_path):
    page = form(viewport={"width": 390, "height": 800})
    names = ["lake.mp4", "walk.mp4", "walk.srt", "wood.mp4", "hill.mp4"]
    for name in names[1:]:
        (tmp_path / name).write_bytes(name.encode() * 1000)
    (tmp_path / "walk.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nA hill.\n")
    page.set_input_files("[name=file]", [tmp_path / name for name in names])
    page.get_by_role("button", name="Remove hill.mp4").click()
    page.fill("#id_tag_names", "y" * 51)
    page.click("[name=_save]")
    page.locator(".errorlist", has_text="A tag has at most 50 characters.").wait_for()
    assert page.evaluate("document.activeElement.id") == "id_tag_names"
    assert not is_too_wide(page)
    page.fill("#id_tag_names", "Lakes")
    page.click("[name=_save]")
    page.locator("[data-state=done]").nth(3).wait_for()
    assert sorted(Video.objects.values_list("title", flat=True)) == ["lake", "walk", "wood"]
    assert CaptionTrack.objects.get().video.title == "walk"
    assert Video.objects.filter(tags__name="Lakes").count() == 3


@pytest.mark.slow("uploads to a real server in a browser")
def test_a_discarded_upload_leaves_nothing(form, file):
    page = form()
    page.on("dialog", lambda dialog: dialog.accept())
    begin(page, file)
    page.get_by_role("button", name="Discard").click()
    wait_until(lambda: not Upload.objects.exists(), "the end of the upload")
    assert page.locator(".upload").count() == 0
    page.reload()
    assert page.locator(".upload").count() == 0
