"""The caption desk in Chromium: editing, saving, conflicts, no connection, and two editors."""

import re

import pytest
from django.contrib.auth.models import User

from videos.models import CaptionTrack, CaptionVersion
from videos.tests import live
from videos.tests.factories import VideoFactory, add_captions
from videos.tests.test_looks import PASSWORD, is_too_wide, log_in, visit  # noqa: F401 - a fixture
from vlog.tests.processes import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

TEXTS = ("So an eigen value is a number.", "It only makes it longer.", "Lambda may be zero.", "The vector may not.")
TIMEOUT = live.PATIENCE * 1000


@pytest.fixture(scope="module")
def video(django_db_setup):
    """None: the site starts without rows, and each test commits its own."""


@pytest.fixture
def track():
    lake = VideoFactory(public=True, title="Linear algebra", slug="algebra", duration=60)
    found = add_captions(lake, *((4 * n, 4 * n + 3, text) for n, text in enumerate(TEXTS)))
    found.cues.filter(text=TEXTS[2]).update(confidence=[0.4, 0.9, 0.9, 0.9])
    return found


@pytest.fixture
def desk(visit, address, track):  # noqa: F811
    """Return a function that opens the desk in a browser of its own."""
    User.objects.create_superuser("ann", password=PASSWORD, first_name="Ann", last_name="Keller")

    def open_desk(**options):
        page = visit("/", **options)
        page.set_default_timeout(TIMEOUT)
        log_in(page, address, "ann")
        page.goto(f"{address}/admin/videos/video/{track.video_id}/captions/")
        live.until(page, "document.getElementById('caption-desk').desk !== undefined")
        return page

    return open_desk


def draft_of(track):
    draft = CaptionVersion.objects.working(track)
    return None if draft is None else [row[2] for row in draft.cues]


def saved(page):
    live.until(page, "document.getElementById('caption-desk').desk.saver.state === 'saved'")
    live.until(page, "!document.getElementById('caption-desk').desk.saver.isDirty")


def type_into(page, number, text):
    page.locator(f"[aria-label='Text of caption {number}']").fill(text)


def test_look(desk, track):
    page = desk(viewport={"width": 1366, "height": 1000})
    page.screenshot(path="/tmp/mine/desk.png", full_page=True)
    type_into(page, 1, "So an eigenvalue is a number.")
    saved(page)
    assert draft_of(track)[0] == "So an eigenvalue is a number."
