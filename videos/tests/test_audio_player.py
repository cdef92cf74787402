"""The player in Chromium: a video with two audio tracks, and audio alone."""

import os
import re
from pathlib import Path

import pytest

from transcoding.tests import clips
from transcoding.tests.engine.sounds import picture, tone
from videos.tests import live
from videos.tests.live import until

pytestmark = [pytest.mark.slow("plays videos of its own in a browser"), pytest.mark.django_db]

VIDEO = "document.querySelector('video')"
SHOTS = os.environ.get("VLOG_TEST_SHOTS")  # a folder for screenshots, to be looked at


@pytest.fixture(scope="module")
def video(lasting_rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("languages")
    source = clips.make(
        folder / "two.mkv",
        *(*picture(12), *tone(440, 12), *tone(880, 12), "-map", "0", "-map", "1", "-map", "2", *clips.MPEG4),
        *("-c:a", "flac", "-metadata:s:a:0", "title=English", "-metadata:s:a:1", "title=Director"),
    )
    return live.publish(source, "Two languages", folder / "node.log")


@pytest.fixture(scope="module")
def song(video, tmp_path_factory):
    folder = tmp_path_factory.mktemp("song")
    return live.publish(clips.make(folder / "song.mp3", *tone(440, 12)), "A song", folder / "node.log")


@pytest.fixture
def visit(browser, address):
    pages = []

    def open_page(video, width=1280, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        pages.append(context.new_page())
        pages[-1].witness = live.Witness(pages[-1])
        pages[-1].goto(address + video.get_absolute_url())
        until(pages[-1], f"{VIDEO}.readyState >= 2")
        return pages[-1]

    yield open_page
    for page in pages:
        page.context.close()


def shoot(page, name):
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png")


def open_menu(page):
    until(page, "'extended' in document.getElementById('player').dataset")
    page.locator("#player").hover()
    page.locator(".act-menu").click()


def test_a_viewer_chooses_an_audio_track(visit, address, video):
    page = visit(video)
    until(page, f"{VIDEO}.hls.audioTracks.length === 2")
    page.evaluate(f"{VIDEO}.play()")
    open_menu(page)
    shoot(page, "settings")
    page.get_by_role("menuitem", name="Audio English").click()
    shoot(page, "audio-menu")
    choices = page.get_by_role("menuitemradio")
    assert choices.all_inner_texts() == ["English", "Director"]
    choices.nth(1).click()
    until(page, f"{VIDEO}.hls.audioTrack === 1")
    until(page, f"{VIDEO}.currentTime > 1")
    assert [asked for asked in page.witness.addresses if "/audio-2/0000" in asked]
    page.locator(".act-menu").click()
    assert page.get_by_role("menuitem", name="Audio Director").is_visible()
    assert page.witness.complaints == []


def test_one_audio_track_is_no_choice(visit, song):
    page = visit(song)
    open_menu(page)
    assert page.get_by_role("menuitem").all_inner_texts()[0].startswith("Speed")
    assert page.get_by_role("menuitem", name=re.compile("Audio|Quality")).count() == 0


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_audio_alone_plays_with_its_poster_and_its_controls(visit, song, width, scheme):
    page = visit(song, width, scheme)
    page.evaluate(f"{VIDEO}.muted = true; {VIDEO}.play()")
    until(page, f"{VIDEO}.currentTime > 0.5")
    assert page.evaluate(f"{VIDEO}.videoWidth") == 0
    assert "/poster.jpg" in page.evaluate(f"{VIDEO}.poster")
    page.wait_for_timeout(3500)
    assert page.evaluate("getComputedStyle(document.querySelector('.controls')).opacity") == "1"
    assert page.locator(".act-full").is_hidden()
    shoot(page, f"song-{width}-{scheme}")
    assert page.witness.complaints == []
