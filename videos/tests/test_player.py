"""The player in Chromium, on a video that a real worker made and a real web server delivers.

The clip flashes and beeps every 30 frames (1.001 s), so a look at the middle of the picture tells which one it is.
"""

import re
from itertools import pairwise

import pytest
from django.utils import timezone

from transcoding.engine.plan.plan import Plan, chunks
from transcoding.tests.clips import H264
from transcoding.tests.engine.test_sync import MONO, NTSC, flashing
from videos.models import Video
from videos.tests import live
from videos.tests.live import PATIENCE, until

pytestmark = [pytest.mark.django_db, pytest.mark.long]

FRAME = 1 / float(NTSC)  # seconds
PERIOD, PERIODS = 30 * FRAME, 20
END = (PERIODS + 0.5) * PERIOD
SYNC = 0.080  # seconds
BRIGHT = 128  # of 255
SOUND_ALONE = 3  # seconds for which Chromium plays on when it has no more pictures, but sound
HEIGHTS = [360, 480]
TITLE = "Flash and beep"
SMALL = {"width": 800, "height": 600}  # a machine without a graphics card paints every picture by itself

VIDEO = "document.querySelector('video')"
LATE_SEGMENTS = re.compile(r"/(?!0000[0-2])\d{5}\.m4s$")

FOREIGN_SCRIPT = "document.head.append(Object.assign(document.createElement('script'), {src: 'https://example.org/'}))"

# Writes every picture that is shown into window.shown: its time in the stream, and its middle (0 to 255).
WATCH = """() => {
  window.shown = [];
  const video = document.querySelector("video");
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const look = (_, { mediaTime }) => {
    canvas.drawImage(video, video.videoWidth / 2, video.videoHeight / 2, 1, 1, 0, 0, 1, 1);
    shown.push([mediaTime, canvas.getImageData(0, 0, 1, 1).data[0]]);
    video.requestVideoFrameCallback(look);
  };
  video.requestVideoFrameCallback(look);
}"""

# An audio worklet that reports the time, on the audio context's clock, at which a sound begins after silence.
EAR = """registerProcessor("ear", class extends AudioWorkletProcessor {
  process([input]) {
    (input[0] ?? []).forEach((sample, position) => {
      if (Math.abs(sample) < 0.2) return;
      const now = (currentFrame + position) / sampleRate;
      if (!(now - this.last < 0.3)) this.port.postMessage(now);
      this.last = now;
    });
    return true;
  }
});"""

# Writes into window.beeps when each beep's first sample passes through the page's audio graph, on the video's own
# clock: what that says when the worklet's message arrives, less what the message took on the audio context's clock.
LISTEN = """async (ear) => {
  window.beeps = [];
  const video = document.querySelector("video");
  const context = new AudioContext();
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([ear], { type: "text/javascript" })));
  const node = new AudioWorkletNode(context, "ear");
  node.port.onmessage = ({ data }) => beeps.push(video.currentTime - (context.currentTime - data));
  context.createMediaElementSource(video).connect(node).connect(context.destination);
}"""


@pytest.fixture(scope="module")
def video(lasting_rows, tmp_path_factory):
    """A published video of two rungs and several chunks, and three that are not published."""
    folder = tmp_path_factory.mktemp("player")
    clip = flashing(folder / "clip.mp4", NTSC, *H264, "-g", "250", *MONO, size="854x480", periods=PERIODS)
    for status in ("pending", "processing", "failed"):
        Video.objects.create(title=status, slug=status, status=status, published_at=timezone.now())
    return live.publish(clip, TITLE, folder / "node.log")


@pytest.fixture
def visit(video, address, browser):
    """Open a page of the site: visit("/") or visit() for the video's. Whatever it does, it may not complain."""
    visited = []

    def open_page(path=None, **options):
        page = browser.new_context(**{"viewport": SMALL, **options}).new_page()
        page.witness = live.Witness(page)
        visited.append(page)
        assert page.goto(address + (path or video.get_absolute_url())).status == 200
        return page

    yield open_page
    for page in visited:
        page.context.close()
        assert page.witness.complaints == []
        assert page.witness.strangers(address) == []


def fill(page, level):
    """Have one quality in the buffer, from the first picture, which is shown, to the last."""
    until(page, f"{VIDEO}.readyState >= 2")  # hls.js loses an init segment where it must switch before that
    live.load_ahead(page)
    page.evaluate(f"{VIDEO}.hls.currentLevel = {level}")
    until(page, f"{VIDEO}.hls.currentLevel == {level}")
    until(page, f"{VIDEO}.buffered.length && {VIDEO}.buffered.end({VIDEO}.buffered.length - 1) > {END - FRAME}")
    page.evaluate(f"{VIDEO}.currentTime = 0")  # a paused video keeps a picture of the quality that it had before
    until(page, f"{VIDEO}.videoHeight == {HEIGHTS[level]}")


def play(page):
    page.evaluate(f"{VIDEO}.play()")
    until(page, f"{VIDEO}.currentTime > 0.5")


def begin_at(page, seconds):
    until(page, f"{VIDEO}.readyState >= 1")
    page.evaluate(f"{VIDEO}.currentTime = {seconds}")


def boundaries(video):
    """Where each segment begins, in seconds."""
    timeline = Plan.from_json(video.job.plan).timeline
    return [float(start * timeline.unit) for start in timeline.starts]


def test_the_play_button_starts_the_picture(visit):
    page = visit()
    page.locator(".stage > .act-toggle").click()
    until(page, f"{VIDEO}.currentTime > 2")
    assert page.evaluate(f"{VIDEO}.videoWidth / {VIDEO}.videoHeight") == pytest.approx(16 / 9, rel=0.01)
    assert page.evaluate(f"{VIDEO}.duration") == pytest.approx(END, abs=FRAME)
    assert page.evaluate(f"{VIDEO}.hls.levels.map((level) => level.height)") == HEIGHTS


def test_at_its_end_a_video_can_be_replayed(visit):
    page = visit()
    play(page)
    page.evaluate(f"{VIDEO}.currentTime = {END - 0.5}")
    until(page, f"{VIDEO}.ended && !document.querySelector('.end').hidden")
    page.locator(".end-again").click()
    until(page, f"!{VIDEO}.ended && !{VIDEO}.paused && {VIDEO}.currentTime > 0.2")
    assert page.locator(".end").is_hidden()
    assert page.evaluate(f"{VIDEO}.currentTime") < END / 2


def test_a_page_that_is_only_opened_loads_one_segment(visit):
    page = visit()
    until(page, f"{VIDEO}.readyState >= 2")
    page.wait_for_load_state("networkidle")
    assert page.evaluate(f"{VIDEO}.buffered.end(0)") <= 6
    play(page)
    until(page, f"{VIDEO}.buffered.end(0) > {END - FRAME}")


@pytest.mark.parametrize("level", [0, 1])
def test_every_quality_fills_the_buffer_from_beginning_to_end_without_a_gap(visit, level):
    page = visit()
    fill(page, level)
    assert page.evaluate(f"[{VIDEO}.buffered.length, {VIDEO}.buffered.start(0)]") == [1, 0]


def test_the_clip_spans_several_chunks(video):
    plan = Plan.from_json(video.job.plan)
    assert [chunk.first for chunk in chunks(plan.timeline)] == [0, 1, 3]
    assert boundaries(video) == pytest.approx([0, 2 * PERIOD, 4 * PERIOD, 6 * PERIOD, 12 * PERIOD, 18 * PERIOD])


def test_seeks_land_and_play_on_across_boundaries_in_both_directions(visit, video):
    page = visit()
    play(page)
    _, second, third, fourth, fifth, last = boundaries(video)
    for boundary in (fourth, second, last, third, fifth):
        page.evaluate(f"{VIDEO}.currentTime = {boundary - 0.4}")
        until(page, f"!{VIDEO}.seeking && {VIDEO}.currentTime > {boundary + 0.4}")


@pytest.mark.parametrize("level", [0, 1])
def test_a_seek_shows_the_very_picture(visit, video, level):
    page = visit()
    fill(page, level)
    page.evaluate(WATCH)
    for boundary in reversed(boundaries(video)[1:]):  # each is the first picture of a flash
        for first, is_bright in ((boundary, True), (boundary - FRAME, False)):
            page.evaluate(f"{VIDEO}.currentTime = {first + FRAME / 2}")
            until(page, f"shown.length && Math.abs(shown.at(-1)[0] - {first}) < 0.001")
            assert (page.evaluate("shown.at(-1)[1]") > BRIGHT) == is_bright


def test_an_address_with_a_moment_starts_there(visit, video):
    page = visit(f"{video.get_absolute_url()}?t=3")
    until(page, f"{VIDEO}.readyState >= 2")
    assert page.evaluate(f"{VIDEO}.currentTime") == pytest.approx(3, abs=FRAME)


def test_hls_switches_the_decoded_picture_down_and_up(visit):
    page = visit()
    play(page)
    for level in (0, 1):
        page.evaluate(f"{VIDEO}.hls.currentLevel = {level}")
        until(page, f"{VIDEO}.videoHeight == {HEIGHTS[level]}")
    position = page.evaluate(f"{VIDEO}.currentTime")
    until(page, f"{VIDEO}.currentTime > {position + 1}")


def choose_quality(page, text):
    page.locator("#player").hover()
    page.locator(".act-menu").click()
    page.get_by_role("menuitem", name="Quality").click()
    page.get_by_role("menuitemradio", name=re.compile(f"^{text}")).click()
    page.locator(".player-menu").wait_for(state="hidden")


@pytest.mark.slow("plays through several segments in real time")
def test_the_quality_menu_switches_the_decoded_picture(visit):
    page = visit()
    play(page)
    for height in HEIGHTS:
        page.evaluate(f"{VIDEO}.currentTime = 0")  # among the short segments, where the next one comes soon
        choose_quality(page, f"{height}p")
        until(page, f"{VIDEO}.videoHeight == {height}")
        assert not page.evaluate(f"{VIDEO}.hls.autoLevelEnabled")
    choose_quality(page, "Automatic")
    until(page, f"{VIDEO}.hls.autoLevelEnabled")


def flashes_among(shown):
    """When a flash begins; only where the dark picture just before it was shown too, for a busy machine drops some."""
    return [
        now for (before, was), (now, level) in pairwise(shown) if was < BRIGHT <= level and now - before < 1.5 * FRAME
    ]


@pytest.mark.slow("plays through several segments in real time")
def test_flash_and_beep_are_together_while_it_plays(visit):
    """On the video's own clock: what the loudspeaker and the screen add after it is the browser's."""
    page = visit(bypass_csp=True)  # for the measuring worklet; all other tests are under the site's policy
    fill(page, 0)
    page.evaluate(WATCH)
    page.evaluate(LISTEN, EAR)
    page.evaluate(f"{VIDEO}.play()")
    for seconds in (8.5 * PERIOD, 16.5 * PERIOD):  # the second only on a machine that drops most pictures
        until(page, f"{VIDEO}.currentTime > {seconds}")
        flashes, beeps = flashes_among(page.evaluate("shown")), page.evaluate("beeps")
        if len(flashes) >= 5 and flashes[-1] > 6 * PERIOD - FRAME:
            break
    assert flashes[-1] > 6 * PERIOD - FRAME, "no flash was seen after the first picture of the third chunk"
    gaps = [min((beep - flash for beep in beeps), key=abs) for flash in flashes]
    assert max(map(abs, gaps)) <= SYNC, [round(1000 * gap) for gap in gaps]


def settled(page):
    """Where a paused video stands. It says so late: pictures on their way when it was paused still count."""
    before, now = None, page.evaluate(f"{VIDEO}.currentTime")
    while before != now:
        page.wait_for_timeout(500)
        before, now = now, page.evaluate(f"{VIDEO}.currentTime")
    return now


def test_the_keyboard_plays_pauses_and_seeks(visit):
    page = visit()
    until(page, f"{VIDEO}.readyState >= 2")
    page.keyboard.press("Space")
    until(page, f"{VIDEO}.currentTime > 0.2")
    page.keyboard.press("Space")
    until(page, f"{VIDEO}.paused")
    positions = [settled(page)]
    for key, direction in (("ArrowRight", ">"), ("ArrowLeft", "<")):
        page.keyboard.press(key)
        until(page, f"!{VIDEO}.seeking && {VIDEO}.currentTime {direction} {positions[-1]}")
        positions.append(page.evaluate(f"{VIDEO}.currentTime"))
    forward, back = (after - before for before, after in pairwise(positions))
    assert forward == pytest.approx(-back, abs=FRAME)
    assert forward >= 5


@pytest.mark.parametrize("which", ["watch", "home"])
def test_a_narrow_telephone_need_not_scroll_sideways(visit, video, which):
    path = video.get_absolute_url() if which == "watch" else "/"
    page = visit(path, viewport={"width": 360, "height": 740})
    page.wait_for_load_state("load")
    assert page.evaluate("document.scrollingElement.scrollWidth") == 360
    assert page.get_by_text(TITLE).first.is_visible()


def test_a_foreign_script_is_refused_and_the_witness_notices(visit):
    page = visit()
    with page.expect_console_message(lambda message: "Content Security Policy" in message.text):
        page.evaluate(FOREIGN_SCRIPT)
    assert len(page.witness.complaints) == 1
    page.witness.complaints.clear()
    page.witness.addresses.clear()


def refuse(route):
    route.fulfill(status=503)


def open_with(page, url, answer, path):
    """Open a page of which some files are answered otherwise; the console may complain of that."""
    page.route(url, answer)
    page.goto(path)


def test_a_video_that_is_gone_is_said_and_another_try_plays_it_when_it_is_back(visit, address, video):
    page = visit("/")
    open_with(page, "**/master.m3u8", lambda route: route.fulfill(status=404), address + video.get_absolute_url())
    message = page.get_by_role("alert")
    message.get_by_text("no longer available").wait_for(timeout=PATIENCE * 1000)
    page.unroute("**/master.m3u8")
    message.get_by_role("button", name="Retry").click()
    play(page)
    assert not message.is_visible()
    page.witness.complaints.clear()


@pytest.mark.slow("plays against a server that is late or away")
def test_when_the_server_goes_away_the_buffer_plays_to_its_end_then_the_viewer_is_told(visit, address, video):
    page = visit("/")
    open_with(page, LATE_SEGMENTS, refuse, address + video.get_absolute_url())
    begin_at(page, 4)
    play(page)
    message = page.get_by_role("alert")
    message.get_by_text("could not be loaded").wait_for(timeout=PATIENCE * 1000)
    stalled = page.evaluate(f"{VIDEO}.currentTime")
    assert 0 <= stalled - boundaries(video)[3] + 0.5 <= SOUND_ALONE + 1
    page.unroute(LATE_SEGMENTS)  # and the button is not pressed
    until(page, f"{VIDEO}.currentTime > {stalled + 0.5}")
    assert not message.is_visible()
    page.witness.complaints.clear()


@pytest.mark.slow("plays against a server that is late or away")
def test_a_video_that_still_grows_waits_for_its_segments_in_one_quality(visit, address, video):
    page, asked = visit("/"), []

    def grow(route):
        asked.append(route.request.url)
        route.fulfill(status=404) if len(asked) <= 12 else route.continue_()

    path = video.get_absolute_url()
    page.route(
        f"**{path}", lambda route: route.fulfill(body=route.fetch().text().replace("data-src", "data-growing data-src"))
    )
    open_with(page, LATE_SEGMENTS, grow, address + path)
    begin_at(page, 4)
    page.evaluate(f"{VIDEO}.play()")
    until(page, f"{VIDEO}.currentTime > {boundaries(video)[3] + 0.5}")
    assert len({url.split("/")[-2] for url in asked} - {"audio"}) == 1
    assert not page.get_by_role("alert").is_visible()
    page.witness.complaints.clear()


@pytest.mark.parametrize("status", ["pending", "processing", "failed"])
def test_a_viewer_finds_no_page_of_a_video_that_is_not_ready(visit, address, status):
    page = visit("/")
    assert page.request.get(f"{address}/watch/{status}/").status == 404
    assert page.get_by_role("link", name=status).count() == 0
