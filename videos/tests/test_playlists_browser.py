"""Playlists in a browser: ordering by mouse and keyboard, the next video, and the countdown at the end of a video."""

import io

import pytest
from django.contrib.auth.models import User
from PIL import Image

from transcoding.engine.package import files
from videos.models import FeaturedVideo, Playlist
from videos.storage.paths import package_dir
from videos.tests.factories import CategoryFactory, PlaylistFactory, VideoFactory
from videos.tests.live import log_in, site, until
from videos.tests.test_playlists import order

pytestmark = [pytest.mark.django_db, pytest.mark.slow("plays videos to their ends in a browser")]

TITLES = ("Systems of equations", "Bases and dimension", "Determinants", "Eigenvalues")
ENDED = "document.querySelector('#player video').dispatchEvent(new Event('ended'))"
END = "#player .end"
READY = "'extended' in (document.getElementById('player')?.dataset ?? {})"  # all scripts of the player run


def poster(video, number):
    data = io.BytesIO()
    Image.new("RGB", (640, 360), ("#2a6f6f", "#c1734f", "#4a4a8a", "#7a9a4a", "#333344")[number % 5]).save(data, "JPEG")
    files.store(package_dir(video) / "poster.jpg", data.getvalue())


@pytest.fixture(scope="module")
def videos(lasting_rows):
    category = CategoryFactory(name="Lectures")
    made = [VideoFactory(public=True, title=title, slug=f"v{n}", category=category) for n, title in enumerate(TITLES)]
    for number, video in enumerate(made):
        poster(video, number)
    FeaturedVideo.objects.feature([made[0].pk])
    return made


@pytest.fixture(scope="module")
def playlist(videos):
    return PlaylistFactory(title="Linear algebra", slug="algebra", videos=videos, description="Winter 2026.")


@pytest.fixture(scope="module")
def address(playlist):
    User.objects.create_superuser("root", password="a long password")
    with site() as address:
        yield address


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1366, "height": 900}, reduced_motion="no-preference")
    page = context.new_page()
    yield page
    context.close()


def end_of(page, address, slug="v1"):
    """Open a page of the playlist with a clock that the test moves, and end the video."""
    page.clock.install()
    page.goto(f"{address}/watch/{slug}/?list=algebra", wait_until="domcontentloaded")
    until(page, READY)
    page.evaluate(ENDED)
    until(page, f"!document.querySelector('{END}').hidden")


def test_the_next_video_starts_after_ten_seconds(page, address):
    end_of(page, address)
    assert page.inner_text("#countdown") == "The next video plays in 10 seconds."
    page.clock.run_for(9000)
    assert "/watch/v1/" in page.url
    page.clock.run_for(1500)
    page.wait_for_url("**/watch/v2/?list=algebra")
    until(page, READY)
    assert page.evaluate("sessionStorage.getItem('vlog-play')") is None  # read on arrival


def test_a_cancelled_countdown_is_remembered_and_can_be_switched_on_again(page, address):
    end_of(page, address)
    page.click(".end-cancel")
    page.clock.run_for(20_000)
    assert "/watch/v1/" in page.url
    assert page.evaluate("document.activeElement.textContent.trim()") == "Play now"
    page.goto(f"{address}/watch/v2/?list=algebra")
    until(page, READY)
    assert not page.is_checked("#autoplay")
    page.evaluate(ENDED)
    page.clock.run_for(20_000)
    assert "/watch/v2/" in page.url
    page.check("#autoplay")
    page.clock.run_for(10_500)
    page.wait_for_url("**/watch/v3/?list=algebra")


def test_nothing_starts_by_itself_with_reduced_motion_after_the_last_video_or_without_a_playlist(page, address):
    page.emulate_media(reduced_motion="reduce")
    end_of(page, address)
    page.clock.run_for(20_000)
    assert "/watch/v1/" in page.url
    assert page.is_hidden(".end-cancel")
    page.emulate_media(reduced_motion="no-preference")
    for where in ("/watch/v3/?list=algebra", "/watch/v1/"):
        page.goto(address + where, wait_until="domcontentloaded")
        until(page, READY)
        page.evaluate(ENDED)
        page.clock.run_for(20_000)
        assert page.url == address + where
        assert page.is_visible(f"{END} .three a >> nth=0")


def test_shift_n_and_the_button_lead_to_the_next_video(page, address):
    page.goto(f"{address}/watch/v0/?list=algebra")
    until(page, READY)
    page.keyboard.press("Shift+N")
    page.wait_for_url("**/watch/v1/?list=algebra")
    until(page, READY)
    page.click(".next-video")
    page.wait_for_url("**/watch/v2/?list=algebra")


def test_replay_hides_what_the_end_shows(page, address):
    end_of(page, address)
    page.evaluate("document.querySelector('#player video').dispatchEvent(new Event('seeking'))")
    assert page.is_hidden(END)
    page.clock.run_for(20_000)
    assert "/watch/v1/" in page.url


def test_the_pages_work_without_javascript(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/playlist/algebra/")
    page.click("text=Play all")
    assert page.url == f"{address}/watch/v0/?list=algebra"
    page.click(f".watch-list ol >> text={TITLES[1]}")
    assert page.url == f"{address}/watch/v1/?list=algebra"
    context.close()


@pytest.fixture
def desk(page, address):
    log_in(page, address, "root", "a long password")
    return page


def titles(page):
    return page.eval_on_selector_all(".order-form .title", "all => all.map((one) => one.textContent)")


def test_videos_are_ordered_with_the_keyboard_and_by_dragging(desk, address, playlist):
    desk.goto(f"{address}/admin/videos/playlist/{playlist.pk}/change/")
    up = desk.locator(f"button:has-text('Move up {TITLES[2]}')")
    up.focus()
    desk.keyboard.press("Enter")
    until(desk, "document.getElementById('order-status').textContent.includes('is number 2 of 4')")
    assert desk.evaluate("document.activeElement.name") == "up"
    desk.keyboard.press("Enter")
    until(desk, "document.getElementById('order-status').textContent.includes('is number 1 of 4')")
    assert order(playlist) == [TITLES[2], TITLES[0], TITLES[1], TITLES[3]]
    grip, target = (desk.locator(".order-form .grip").nth(number) for number in (0, 3))
    target.scroll_into_view_if_needed()
    box, goal = grip.bounding_box(), target.bounding_box()
    desk.mouse.move(box["x"] + 8, box["y"] + 8)
    desk.mouse.down()
    desk.mouse.move(goal["x"] + 8, goal["y"] + 8, steps=4)
    desk.mouse.move(goal["x"] + 8, goal["y"] + goal["height"], steps=2)
    desk.mouse.up()
    until(desk, "document.getElementById('order-status').textContent.includes('is number 4 of 4')")
    assert titles(desk) == order(playlist) == [TITLES[0], TITLES[1], TITLES[3], TITLES[2]]
    desk.fill("#id_description", "Typed after the moves")
    desk.click("[name=_save]")
    desk.wait_for_url("**/admin/videos/playlist/")
    assert Playlist.objects.get(pk=playlist.pk).description == "Typed after the moves"
