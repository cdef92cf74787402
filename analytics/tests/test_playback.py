"""Playing a video in Chromium writes the rows that describe it."""

import pytest
from django.db.models import Max

from analytics.models import PlaybackSession
from transcoding.tests import clips
from transcoding.tests.conftest import wait_for
from videos.tests import live
from videos.tests.live import until

pytestmark = [pytest.mark.slow("plays videos in a browser, in real time"), pytest.mark.django_db]

DURATION = 20  # seconds
VIDEO = "document.querySelector('video')"
NO_PROGRAM = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"


@pytest.fixture(scope="module")
def video(lasting_rows, tmp_path_factory):
    """A published video of 20 seconds."""
    folder = tmp_path_factory.mktemp("playback")
    source = ("-f", "lavfi", "-i", f"testsrc2=size=640x360:rate=25:duration={DURATION}")
    clip = clips.make(folder / "clip.mp4", *source, *clips.H264, "-g", "50")
    return live.publish(clip, "Played", folder / "node.log")


@pytest.fixture
def visit(video, address, browser):
    """Open the page of the video; `sessions` are those that start from now on."""
    contexts = []

    def open_page(**options):
        contexts.append(browser.new_context(**{"user_agent": NO_PROGRAM, **options}))
        page = contexts[-1].new_page()
        page.witness = live.Witness(page)
        latest = PlaybackSession.objects.aggregate(latest=Max("pk", default=0))["latest"]
        page.sessions = PlaybackSession.objects.filter(pk__gt=latest)
        assert page.goto(address + video.get_absolute_url()).status == 200
        return page

    yield open_page
    for context in contexts:
        context.close()


def test_who_plays_seeks_and_closes_the_tab_is_found_as_they_played(visit, video):
    page = visit()
    page.locator(".stage > .act-toggle").click()
    until(page, f"{VIDEO}.currentTime > 3")
    page.evaluate(f"{VIDEO}.currentTime = 12")
    until(page, f"!{VIDEO}.seeking && {VIDEO}.currentTime > 14")
    page.close(run_before_unload=True)
    wait_for(page.sessions.exclude(ended_at=None).exists, "the end of the session")
    session = page.sessions.get()
    assert session.video == video
    assert 4 < session.duration_watched < 9
    assert 14 <= session.max_position < 18
    assert (session.quality_used, session.completed) == ("360p", False)
    assert session.quality_seconds == {"360p": pytest.approx(session.duration_watched)}
    assert session.viewer is not None
    assert page.witness.complaints == []


def test_who_sees_the_end_has_completed_it_and_a_second_time_counts_in_the_same_session(visit):
    page = visit()
    page.evaluate(f"{VIDEO}.playbackRate = 2")
    page.evaluate(f"{VIDEO}.play()")
    until(page, f"{VIDEO}.ended")
    wait_for(page.sessions.filter(max_position__gt=DURATION - 0.5).exists, "the last report")
    first = page.sessions.get()
    assert first.completed
    assert first.duration_watched == pytest.approx(DURATION, abs=1.5)
    page.evaluate(f"{VIDEO}.play()")
    until(page, f"!{VIDEO}.ended && {VIDEO}.currentTime > 3")
    page.evaluate(f"{VIDEO}.pause()")
    wait_for(page.sessions.filter(last_report__gt=first.last_report).exists, "another report")
    again = page.sessions.get()
    assert again.duration_watched - first.duration_watched >= 2.5


def test_the_cookie_is_out_of_the_reach_of_scripts_and_comes_with_the_first_play(visit):
    page = visit()
    page.wait_for_load_state("load")
    assert page.context.cookies() == []
    page.evaluate(f"{VIDEO}.play()")
    wait_for(lambda: page.context.cookies() or page.wait_for_timeout(50), "the cookie")
    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("vlog_viewer", True, "Lax")
    assert page.evaluate("document.cookie") == ""


def test_a_program_plays_and_sends_nothing_more(visit):
    page = visit(user_agent="Mozilla/5.0 HeadlessChrome/140.0.0.0")
    page.evaluate(f"{VIDEO}.play()")
    until(page, f"{VIDEO}.currentTime > 2")
    page.evaluate(f"{VIDEO}.pause()")
    page.wait_for_timeout(300)
    assert [url.rsplit("/", 1)[1] for url in page.witness.addresses if "/playback/" in url] == ["start"]
    assert not page.sessions.exists()


@pytest.mark.parametrize("answer", [lambda route: route.abort(), lambda route: route.fulfill(status=500)])
def test_when_reports_fail_the_video_plays_on_and_no_error_is_shown(visit, answer):
    page = visit()
    page.route("**/api/v1/playback/**", answer)
    page.evaluate(f"{VIDEO}.play()")
    until(page, f"{VIDEO}.currentTime > 2")
    assert not page.get_by_role("alert").is_visible()
    assert not [text for text in page.witness.complaints if "Failed to load resource" not in text]


def test_what_did_not_arrive_is_sent_again_and_counts_once(visit):
    page = visit()
    page.evaluate(f"{VIDEO}.play()")
    wait_for(lambda: page.sessions.exists() or page.wait_for_timeout(50), "the start")
    page.route("**/api/v1/playback/report", lambda route: route.fulfill(status=503))
    until(page, f"{VIDEO}.currentTime > 2")
    page.evaluate(f"{VIDEO}.pause()")
    page.wait_for_timeout(300)
    page.unroute("**/api/v1/playback/report")
    page.close(run_before_unload=True)
    wait_for(page.sessions.exclude(ended_at=None).exists, "the end of the session")
    session = page.sessions.get()
    assert session.last_report == 1
    assert 1.5 < session.duration_watched < 3.5
