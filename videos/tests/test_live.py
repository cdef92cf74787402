"""live.js in Chromium: pages that keep themselves up to date."""

import pytest
from django.contrib.auth.models import User

from transcoding.models import TranscodingJob
from videos.models import Video
from videos.tests import live
from videos.tests.factories import TranscodingJobFactory, VideoFactory
from videos.tests.test_looks import PASSWORD, visit  # noqa: F401 - a fixture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

LIST = "/admin/videos/video/"
INTERVAL = 4_000  # milliseconds, as in live.js
TIMEOUT = live.PATIENCE * 1000


@pytest.fixture(scope="module")
def video(django_db_setup):
    """None: the site starts without rows, and each test commits its own."""


@pytest.fixture
def open_page(visit, address):  # noqa: F811
    """Log in as an editor and open a page; `page.polls` lists its requests for itself."""
    User.objects.create_superuser("editor", password=PASSWORD)
    TranscodingJobFactory(video=VideoFactory(title="Walk", slug="walk", status="processing", visibility="private"))

    def open_path(path):
        page = visit("/")
        live.log_in(page, address, "editor", PASSWORD)
        page.goto(address + path)
        page.polls = []
        page.on("request", lambda request: page.polls.append(request.url) if is_poll(request) else None)
        return page

    return open_path


def is_poll(request):
    return request.resource_type == "fetch"


def progress(percent):
    TranscodingJob.objects.update(progress_percent=percent)


def stays_silent(page):
    count = len(page.polls)
    page.wait_for_timeout(2 * INTERVAL)
    return len(page.polls) == count


@pytest.mark.slow("waits for several polls")
def test_a_fragment_is_replaced_and_keeps_the_focus_until_nothing_is_in_progress(open_page):
    page = open_page("/watch/walk/")
    page.get_by_role("link", name="Open in the admin").focus()
    progress(20)
    page.get_by_text("Encoding: 20 %").wait_for(timeout=TIMEOUT)
    assert page.evaluate("document.activeElement.textContent") == "Open in the admin"
    Video.objects.update(status="ready")
    page.get_by_text("Ready. Visibility: private").wait_for(timeout=TIMEOUT)
    assert stays_silent(page)


@pytest.mark.slow("waits for several polls")
def test_the_list_outlives_failed_requests_and_keeps_what_is_ticked(open_page):
    page = open_page(LIST)
    page.locator(".action-select").check()
    answers = [lambda route: route.abort(), lambda route: route.fulfill(status=502, body="<p>Bad gateway</p>")]
    page.route(f"**{LIST}", lambda route: answers.pop()(route) if answers else route.continue_())
    progress(40)
    page.get_by_text("40 % encoded").wait_for(timeout=TIMEOUT)
    assert answers == []
    Video.objects.update(status="failed", error_message="No picture")
    page.get_by_text("No picture").wait_for(timeout=TIMEOUT)
    assert page.locator("tr.selected .action-select").is_checked()
    assert page.locator(".action-counter").inner_text() == "1 of 1 selected"
    assert page.locator("#list-status").inner_text() == "“Walk” has failed."
    assert page.get_by_role("button", name="Retry Walk").is_visible()
    assert stays_silent(page)


@pytest.mark.slow("waits for several polls")
def test_after_the_session_has_expired_the_page_stays_and_polling_stops(open_page):
    page = open_page(LIST)
    page.context.clear_cookies()
    page.wait_for_event("response", lambda response: "/admin/login/" in response.url, timeout=TIMEOUT)
    assert stays_silent(page)
    assert page.get_by_text("0 % encoded").is_visible()
    assert page.locator("[name=password]").count() == 0
