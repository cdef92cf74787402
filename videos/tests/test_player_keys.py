"""Keys, gestures, the menu and what the player keeps in the browser, in Chromium: few pages, many looks at each."""

import json
from itertools import pairwise

import pytest
from django.urls import reverse

from transcoding.steps import chapters
from transcoding.tests import clips
from transcoding.tests.engine.sounds import tone
from videos.models import Chapter
from videos.tests import live
from videos.tests.factories import PlaylistFactory, VideoFactory
from videos.tests.live import until
from videos.tests.test_captions_player import hear
from videos.tests.test_playlists_browser import poster
from vlog.tests.test_accessibility import AXE, JUDGE, RULES

pytestmark = [pytest.mark.slow("plays a video of its own in a browser"), pytest.mark.django_db]

SECONDS = 30
FRAME = 1 / 25  # seconds
WALK = ("-f", "lavfi", "-i", f"testsrc2=size=854x480:rate=25:duration={SECONDS}")
VIDEO = "document.querySelector('#player video')"
SHOWN = f"[...{VIDEO}.textTracks].filter(track => track.mode == 'showing')"
READY = f"{VIDEO}?.readyState >= 2 && 'extended' in document.getElementById('player').dataset"
KEPT = "JSON.parse(localStorage['vlog-positions'])"
ANSWER = ".stage > .answer"


@pytest.fixture(scope="module")
def video(lasting_rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    clip = clips.make(folder / "clip.mp4", *WALK, *tone(440, SECONDS), *clips.H264, *clips.AAC)
    video = live.publish(clip, "A walk", folder / "node.log")
    hear(video)
    Chapter.objects.replace(video.pk, [(0, "Start"), (12, "The hill"), (24, "Home")])
    chapters.publish(video.pk)
    following = VideoFactory(title="The next walk", slug="next", public=True)
    poster(following, 1)
    PlaylistFactory(title="Walks", slug="walks", videos=[video, following])
    return video


@pytest.fixture
def context(browser):
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    yield context
    context.close()


@pytest.fixture
def visit(context, address, video):
    pages = []

    def open_page(more="", where=None, using=None):
        page = (using or context).new_page()
        page.witness = live.Witness(page)
        pages.append(page)
        page.goto(address + (where or video.get_absolute_url()) + more)
        until(page, READY)
        return page

    yield open_page
    for page in pages:
        assert page.witness.complaints == []
        assert page.witness.strangers(address) == []


def position(page):
    until(page, f"!{VIDEO}.seeking")
    return page.evaluate(f"{VIDEO}.currentTime")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)
    return position(page)


def kept(page, key):
    return json.loads(page.evaluate(f"localStorage.getItem('{key}')") or "null")


def test_each_key_does_what_the_map_says(visit):
    page = visit()
    live.load_ahead(page)
    assert press(page, "5") == pytest.approx(SECONDS / 2, abs=0.2)
    assert press(page, "j") == pytest.approx(SECONDS / 2 - 10, abs=0.2)
    assert page.inner_text(ANSWER) == "\u2212 10 s"
    assert press(page, "l", "ArrowRight") == pytest.approx(SECONDS / 2 + 5, abs=0.2)
    assert page.inner_text(ANSWER) == "+ 5 s"
    assert press(page, "Home") == 0
    assert press(page, "End") == pytest.approx(SECONDS, abs=0.2)
    press(page, "2")
    steps = [press(page, "."), press(page, "."), press(page, ","), press(page, ",")]
    assert [after - before for before, after in pairwise(steps)] == pytest.approx([FRAME, -FRAME, -FRAME], abs=0.001)
    press(page, ">", ">", "<")
    assert page.evaluate(f"{VIDEO}.playbackRate") == 1.25
    assert page.inner_text(ANSWER) == "Speed 1.25×"
    press(page, "ArrowDown", "ArrowDown", "ArrowUp")
    assert page.evaluate(f"{VIDEO}.volume") == 0.95
    assert page.inner_text(ANSWER) == "Volume 95 %"
    press(page, "m")
    assert page.evaluate(f"{VIDEO}.muted")
    assert page.get_by_role("button", name="Unmute").is_visible()
    press(page, "c")
    until(page, f"{SHOWN}.length === 1")
    press(page, "c")
    until(page, f"{SHOWN}.length === 0")
    press(page, "k")
    until(page, f"!{VIDEO}.paused")
    press(page, " ")
    until(page, f"{VIDEO}.paused")


def test_what_is_pressed_before_the_later_modules_are_there_is_done_when_they_are(context, address, video):
    page = context.new_page()
    late = []
    page.route("**/player/later*.js", lambda route: late.append(route))  # noqa: PLW0108 - Playwright takes no method of a list
    with page.expect_request("**/player/later*.js"):
        page.goto(address + video.get_absolute_url())
    until(page, f"{VIDEO}.readyState >= 2")
    page.get_by_role("button", name="Share").click()
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")
    assert page.evaluate(f"{VIDEO}.paused && !document.querySelector('dialog[open]') && !scrollY")
    late.pop().continue_()
    until(page, f"{VIDEO}.currentTime > 0.2 && document.querySelector('#share[open]')")
    page.close()


def test_keys_lead_to_the_search_the_map_the_full_screen_and_the_wide_player(visit):
    page = visit()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys of the player")
    assert dialog.is_visible()
    page.keyboard.press("k")  # no key of the player while the map is open
    page.get_by_label("Letters and signs are keys of the player").uncheck()
    page.keyboard.press("Escape")
    assert dialog.is_hidden()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("k")
    assert page.evaluate(f"{VIDEO}.paused")
    page.evaluate("document.querySelector('.keys input').click()")
    page.keyboard.press("f")
    until(page, "document.fullscreenElement?.id === 'player'")
    page.keyboard.press("f")
    until(page, "!document.fullscreenElement")
    width = page.locator("#player").bounding_box()["width"]
    page.keyboard.press("t")
    assert page.locator("#player").bounding_box()["width"] > width
    page.keyboard.press("t")
    assert page.locator("#player").bounding_box()["width"] == width
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.type") == "search"
    page.keyboard.type("k0m")  # no keys of the player while one types
    assert page.evaluate(f"[{VIDEO}.paused, {VIDEO}.muted]") == [True, False]


def test_the_menu_is_used_with_the_keyboard_alone(visit):
    page = visit()
    page.locator(".act-menu").focus()
    page.keyboard.press("Enter")
    focused = "document.activeElement.innerText.replace(/\\s+/g, ' ')"
    assert page.evaluate(focused) == "Speed Normal"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(focused) == "Normal"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.evaluate(f"{VIDEO}.playbackRate") == 1.25
    assert page.evaluate("document.activeElement.className").startswith("act act-menu")
    page.keyboard.press("Enter")
    page.keyboard.press("End")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(focused) == "Chapters Start"
    page.keyboard.press("Enter")
    page.keyboard.press("End")
    assert page.evaluate(focused) == "Home 0:24"
    page.keyboard.press("Escape")
    assert page.evaluate(focused) == "Chapters Start"
    page.keyboard.press("Escape")
    assert page.locator(".player-menu").is_hidden()
    assert page.locator(".act-menu").get_attribute("aria-expanded") == "false"
    assert page.locator(".pieces span").count() == 3
    slider = page.get_by_role("slider", name="Position")
    slider.focus()
    assert press(page, "ArrowRight") == pytest.approx(5, abs=0.2)
    assert slider.get_attribute("aria-valuetext") == "0:05 of 0:30"


def choose(page, name, choice):
    page.locator("#player").hover()
    page.locator(".act-menu").click()
    page.get_by_role("menuitem", name=name).click()
    page.get_by_role("menuitemradio", name=choice, exact=True).click()
    if page.locator(".player-menu").is_visible():
        page.locator(".act-menu").click()


def test_the_viewers_settings_apply_to_the_next_video_too(visit, context, address):
    page = visit()
    for name, choice in (
        ("Speed", "1.5×"),
        ("Quality", "360p"),
        ("Caption style", "150 %"),
        ("Caption style", "Black"),
    ):
        choose(page, name, choice)
    choose(page, "Captions Off", "English (automatic)")
    page.evaluate(f"{VIDEO}.volume = 0.4")
    page = visit()
    until(page, f"{SHOWN}.length === 1")
    assert page.evaluate(f"[{VIDEO}.playbackRate, {VIDEO}.volume, {VIDEO}.videoHeight]") == [1.5, 0.4, 360]
    assert page.evaluate("({...document.getElementById('player').dataset}).captionSize") == "150"
    assert page.evaluate("({...document.getElementById('player').dataset}).captionGround") == "solid"
    before = page.evaluate("JSON.stringify(localStorage)")
    page = visit(where=reverse("embed", args=["a-walk"]), more="?autoplay=1&muted=1")
    assert page.evaluate(f"[{VIDEO}.playbackRate, {VIDEO}.volume]") == [1, 1]
    page.evaluate(f"{VIDEO}.volume = 0.1")
    assert page.evaluate("JSON.stringify(localStorage)") == before
    assert [cookie["name"] for cookie in context.cookies()] in ([], ["vlog_viewer"])


def test_a_video_goes_on_where_it_was_left_until_it_has_been_watched(visit, context, address, video):
    page = visit()
    page.evaluate(f"{VIDEO}.muted = true; {VIDEO}.currentTime = 14; {VIDEO}.play()")
    until(page, f"{VIDEO}.currentTime > 15")
    page.keyboard.press("k")
    until(page, f"{KEPT}[0].at > 15")
    (entry,) = kept(page, "vlog-positions")
    assert (entry["page"], entry["title"], entry["at"] > 15) == (video.get_absolute_url(), "A walk", True)
    page = visit()
    assert position(page) == pytest.approx(entry["at"], abs=0.5)
    assert page.inner_text(".resumed span") == f"Continues at 0:{int(entry['at'])}"
    assert position(visit("?t=3")) == pytest.approx(3, abs=0.1)
    page.goto(f"{address}/")
    card = page.locator("#continue li")
    assert card.locator("h3").inner_text() == "A walk"
    assert card.locator(".card-meta").inner_text() == "1 min left"
    card.locator("a").click()
    until(page, READY)
    page.get_by_role("button", name="Play from the start").click()
    assert position(page) == 0
    page.evaluate(f"{VIDEO}.muted = true; {VIDEO}.currentTime = {SECONDS - 1}; {VIDEO}.play()")
    until(page, f"{KEPT}.length === 0")
    page.goto(f"{address}/playlist/walks/")
    until(page, "document.querySelector('[data-video] .watched').textContent === 'Watched'")
    page.evaluate(
        "localStorage['vlog-watched'] = JSON.stringify([Number(document.querySelector('li + li').dataset.video)])"
    )
    assert visit("?list=walks").locator(".watch-list .watched").all_inner_texts() == ["Playing", "Watched"]
    page.goto(f"{address}/")
    page.wait_for_load_state("networkidle")
    assert page.locator("#continue").is_hidden()


LEAVE = """(entries) => localStorage.setItem(
  "vlog-positions", JSON.stringify(entries.map((entry) => ({ ...entry, when: Date.now() })))
)"""
LEFT = {"id": 2, "page": "/watch/a-walk/", "title": "<b>", "poster": "/static/favicon.svg", "at": 60, "of": 400}
NONSENSE = ["x", "{", '"x"', "null", '[null, 3, {"at": "x"}]', '{"volume": 1e999, "speed": -1, "captions": 3}']


def test_what_is_kept_is_bounded_and_nonsense_there_is_ignored(visit, address, video):
    page = visit()
    page.evaluate(LEAVE, [{**LEFT, "id": -number} for number in range(70)])
    page.evaluate(f"{VIDEO}.muted = true; {VIDEO}.currentTime = 14; {VIDEO}.play()")
    until(page, f"{VIDEO}.currentTime > 14.5")
    page.keyboard.press("k")
    until(page, f"{KEPT}.length === 50")
    for nonsense in NONSENSE:
        page.goto(f"{address}/")
        page.evaluate(
            "(value) => ['vlog-positions', 'vlog-player'].map((key) => localStorage.setItem(key, value))", nonsense
        )
        page.goto(f"{address}/")
        assert page.locator("#continue").is_hidden()
        page.goto(address + video.get_absolute_url())
        until(page, READY)
        assert page.evaluate(f"[{VIDEO}.playbackRate, {VIDEO}.volume]") == [1, 1]


def test_the_list_of_what_is_left_can_be_cleared(visit, address):
    page = visit()
    page.evaluate(LEAVE, [{**LEFT, "id": 1, "page": "javascript:alert(1)"}, LEFT])
    page.goto(f"{address}/")
    assert page.locator("#continue h3").all_inner_texts() == ["<b>"]
    assert page.locator("#continue .card-meta").inner_text() == "6 min left"
    page.get_by_role("button", name="Clear").click()
    assert page.locator("#continue").is_hidden()
    assert kept(page, "vlog-positions") == []


def test_what_opens_in_the_player_has_no_barrier(visit):
    page = visit("?list=walks")
    page.evaluate(AXE.read_text())
    page.hover("#player")
    page.click(".act-menu")
    assert page.evaluate(JUDGE, RULES) == []
    page.get_by_role("menuitem", name="Caption style").click()
    assert page.evaluate(JUDGE, RULES) == []
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    assert page.evaluate(JUDGE, RULES) == []
    page.keyboard.press("Escape")
    page.emulate_media(reduced_motion="reduce")
    page.evaluate(f"{VIDEO}.muted = true; {VIDEO}.currentTime = {SECONDS - 1}; {VIDEO}.play()")
    until(page, "!document.querySelector('.end').hidden")
    assert page.evaluate(JUDGE, RULES) == []


def test_fingers_show_the_controls_and_jump(visit, browser):
    context = browser.new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    page = visit(using=context)
    page.evaluate(f"{VIDEO}.muted = true; {VIDEO}.play()")
    until(page, "document.getElementById('player').classList.contains('is-idle')")
    box = page.locator("#player").bounding_box()
    left, right, middle = box["x"] + 40, box["x"] + box["width"] - 40, box["y"] + 60
    page.touchscreen.tap(right, middle)
    until(page, "!document.getElementById('player').classList.contains('is-idle')")
    assert not page.evaluate(f"{VIDEO}.paused")
    page.wait_for_timeout(400)
    page.evaluate(f"{VIDEO}.pause()")
    before = position(page)
    for x, moved in ((right, 10), (left, 0)):
        page.touchscreen.tap(x, middle)
        page.touchscreen.tap(x, middle)
        until(page, f"Math.abs({VIDEO}.currentTime - {before + moved}) < 0.2")
        page.wait_for_timeout(400)
    page.locator(".act-menu").tap()
    menu = page.locator(".player-menu").bounding_box()
    assert (menu["x"], menu["width"], menu["y"] + menu["height"]) == (0, 390, 800)  # a sheet at the bottom
    context.close()


def test_the_systems_controls_know_the_video_and_the_ring_waits(visit):
    page = visit("?list=walks")
    page.evaluate(f"{VIDEO}.muted = true; {VIDEO}.play()")
    until(page, "navigator.mediaSession.playbackState === 'playing'")
    assert page.evaluate("[navigator.mediaSession.metadata.title, navigator.mediaSession.metadata.artist]") == [
        "A walk",
        "VLog",
    ]
    assert "/poster.jpg" in page.evaluate("navigator.mediaSession.metadata.artwork[0].src")
    ring = "Number(getComputedStyle(document.querySelector('.wait')).opacity)"
    page.evaluate(f"{VIDEO}.dispatchEvent(new Event('waiting'))")
    assert page.evaluate(ring) == 0
    assert page.evaluate("getComputedStyle(document.querySelector('.wait')).transitionDelay") == "0.3s"
    for act in ("pip", "full"):
        assert page.locator(f".act-{act}").is_visible()
    for act in ("airplay", "remote"):
        assert page.locator(f".act-{act}").is_hidden()  # where the browser knows no other screen


# What Safari has, and Chromium beside a receiver: no browser here knows a screen in the room.
AIRPLAY = """
  window.WebKitPlaybackTargetAvailabilityEvent = Event;
  HTMLVideoElement.prototype.webkitShowPlaybackTargetPicker = function () { window.picked = this.src; };
"""
SCREENS = """
  HTMLVideoElement.prototype.canPlayType = () => "maybe";
  Object.defineProperty(HTMLVideoElement.prototype, "remote", { value: {
    watchAvailability: async (callback) => { window.screens = callback; },
    prompt: async () => { window.picked = document.querySelector("#player video").src; },
  } });
"""
FOUND = {
    "airplay": f"{VIDEO}.dispatchEvent(Object.assign(new Event('webkitplaybacktargetavailabilitychanged'), "
    "{ availability: 'available' }))",
    "remote": "screens(true)",
}


@pytest.mark.parametrize(("act", "browser_has"), [("airplay", AIRPLAY), ("remote", SCREENS)])
def test_a_screen_in_the_room_gets_the_playlist_itself(context, address, video, act, browser_has):
    page = context.new_page()
    page.add_init_script(browser_has)
    page.goto(address + video.get_absolute_url())
    until(page, READY)
    assert page.locator(f".act-{act}").is_hidden()
    page.evaluate(FOUND[act])
    page.click(f".act-{act}")
    until(page, "window.picked")
    assert page.evaluate("picked").endswith("/master.m3u8")
    assert page.evaluate(f"{VIDEO}.hls") is None  # a script's data cannot be sent there
    page.close()


def test_after_an_error_the_video_goes_on_where_it_was(visit):
    page = visit()
    page.evaluate(f"{VIDEO}.muted = true; {VIDEO}.currentTime = 13")
    until(page, f"!{VIDEO}.seeking && {VIDEO}.readyState >= 2")
    fail = f"{VIDEO}.hls.trigger('hlsError', {{ type: 'mediaError', details: 'x', fatal: true }})"
    for _ in range(4):  # the first three are mended without a word
        page.evaluate(fail)
        page.wait_for_timeout(200)
    page.get_by_role("alert").get_by_text("could not be played. Retry").wait_for()
    page.get_by_role("button", name="Retry").click()
    until(page, f"{VIDEO}.readyState >= 2")
    assert position(page) == pytest.approx(13, abs=0.5)
    page.evaluate(f"{VIDEO}.play()")
    until(page, f"{VIDEO}.currentTime > 13.5")
