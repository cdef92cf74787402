"""The privacy page: what it shows of a visitor, and what its buttons erase and set."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from analytics import privacy
from analytics.models import PlaybackSession, Viewer
from analytics.views import COOKIE, OPTED_OUT
from videos import publication
from videos.tests.factories import VideoFactory

pytestmark = pytest.mark.django_db

WORD = "a" * 43
OURS = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def video():
    return VideoFactory(public=True, title="A <walk>", slug="walk")


@pytest.fixture
def viewer(client, video):
    client.cookies[COOKIE] = WORD
    row = Viewer.objects.create(session_id=WORD)
    play(video, row, "one")
    return row


def play(video, viewer, token):
    return PlaybackSession.objects.create(
        video=video, viewer=viewer, session_token=token, duration_watched=65, max_position=70
    )


def page(client, **headers):
    response = client.get("/privacy/", headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def press(client, action, **headers):
    return client.post("/privacy/", {"action": action}, headers={**OURS, **headers})


def test_a_stranger_has_nothing_stored_and_gets_no_cookie(client):
    response = client.get("/privacy/")
    assert "Nothing is stored of this browser" in response.content.decode()
    assert not response.cookies
    assert "no-store" in response.headers["Cache-Control"]
    assert not Viewer.objects.exists()


def test_a_viewer_sees_what_is_stored(client, viewer):
    text = page(client)
    assert '<a href="/watch/walk/">A &lt;walk&gt;</a>' in text
    assert "1:05" in text
    assert "1:10" in text
    assert WORD not in text


def test_what_others_played_is_not_shown(client, viewer):
    other = VideoFactory(public=True, title="Other video")
    play(other, Viewer.objects.create(session_id="b" * 43), "two")
    play(other, None, "three")
    assert "Other video" not in page(client)


def test_a_video_that_is_not_public_any_more_has_no_title(client, viewer, video):
    publication.set_visibility(video, "private")
    text = page(client)
    assert "walk" not in text
    assert "A video that is not public now" in text


def test_erasing_deletes_the_viewer_and_keeps_the_numbers(client, viewer):
    response = press(client, "erase")
    assert (response.status_code, response.headers["Location"]) == (303, "/privacy/?done=erased")
    assert response.cookies[COOKIE]["max-age"] == 0
    assert response.headers["Clear-Site-Data"] == '"storage"'
    assert not Viewer.objects.exists()
    assert PlaybackSession.objects.get().viewer is None
    assert "is erased" in client.get("/privacy/?done=erased").content.decode()


def test_opting_out_is_a_cookie_that_is_the_same_for_everybody(client, viewer):
    response = press(client, "opt_out")
    cookie = response.cookies[COOKIE]
    assert (cookie.value, cookie["httponly"], cookie["samesite"]) == (OPTED_OUT, True, "Lax")
    assert not Viewer.objects.exists()
    assert "You have opted out" in page(client)
    press(client, "erase")
    assert client.cookies[COOKIE].value == OPTED_OUT  # erasing does not opt in again
    press(client, "opt_in")
    assert "Nothing is stored of this browser" in page(client)


@pytest.mark.parametrize("header", ["DNT", "Sec-GPC"])
def test_a_browser_that_asks_for_it_needs_no_button(client, header):
    text = page(client, **{header: "1"})
    assert "Your browser asks not to be followed" in text
    assert "opt_out" not in text


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://example.org"}],
)
def test_other_sites_press_no_button(client, viewer, headers):
    response = client.post("/privacy/", {"action": "erase"}, headers=headers)
    assert response.status_code == 403
    assert Viewer.objects.exists()


@pytest.mark.parametrize("action", ["", "x", "erase\0"])
def test_an_unknown_button_is_refused(client, viewer, action):
    assert press(client, action).status_code == 400
    assert Viewer.objects.exists()


@pytest.mark.parametrize("value", ["x" * 5000, "é", "'"])
def test_a_foreign_cookie_erases_nobody(viewer, value):
    stranger = Client()
    stranger.cookies[COOKIE] = value
    assert press(stranger, "erase").status_code == 303
    assert page(stranger)
    assert Viewer.objects.exists()


def test_it_works_with_forms_alone(client, viewer):
    assert Client(enforce_csrf_checks=True).post("/privacy/", {"action": "opt_out"}, headers=OURS).status_code == 303
    assert '<form method="post" action="/privacy/">' in page(client)


def test_the_page_is_bounded_and_its_queries_do_not_grow(client, viewer, video, monkeypatch):
    def count():
        with CaptureQueriesContext(connection) as context:
            page(client)
        return len(context)

    count()
    few = count()
    play(video, viewer, "two"), play(VideoFactory(public=True), viewer, "three")
    assert count() == few
    monkeypatch.setattr(privacy, "SHOWN", 2)
    text = page(client)
    assert text.count("<tr><td>") == 2
    assert "The latest 2 of them are shown" in text
