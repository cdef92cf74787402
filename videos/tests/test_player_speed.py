"""How much the watch page loads, how soon it shows something, and how it plays on a line that slows down."""

import json
import re
import shutil

import pytest

from transcoding.tests import clips
from transcoding.tests.engine.sounds import tone
from videos.tests import live
from videos.tests.factories import VideoFactory
from videos.tests.live import until
from videos.tests.test_playlists_browser import poster

pytestmark = [pytest.mark.django_db, pytest.mark.long]

SECONDS = 60
# Soft pictures, whose lowest quality fits on a slow line, as that of lectures and interviews does.
CLIP = ("-f", "lavfi", "-i", f"testsrc2=size=854x480:rate=25:duration={SECONDS},gblur=sigma=5")
# Noise, whose every quality reaches the caps of the ladder: even the lowest needs 500 kbit/s with its audio.
HARD = ("-f", "lavfi", "-i", f"testsrc2=size=640x360:rate=15:duration={SECONDS},noise=alls=30:allf=t")
LADDER = "480:1000:96, 360:600:96, 240:400:64"
VIDEO = "document.querySelector('#player video')"
PAGE_BYTES, PAGE_REQUESTS = 260_000, 12
LCP, CLS = 1000, 0.02  # milliseconds, and the share of the page that moves
SLOWDOWN = 4  # of the CPU
MEDIA = re.compile(r"^blob:|/init\.mp4$|\.m4s$|\.m3u8$")
TRIES = 3  # the machine has other work, too

# What was loaded before the first picture, its bytes as they came over the line, and what the browser measured.
LOADED = """() => ({
  requests: [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter(({ startTime }) => startTime < window.firstPicture)
    .map(({ name, transferSize }) => [name, transferSize]),
  ahead: document.querySelector("#player video").buffered.end(0),
})"""
OBSERVE = """
  window.shifts = 0;
  const count = ({ value, hadRecentInput }) => { if (!hadRecentInput) shifts += value; };
  new PerformanceObserver((list) => list.getEntries().forEach(count))
    .observe({ type: "layout-shift", buffered: true });
  new PerformanceObserver((list) => { window.largest = list.getEntries().at(-1).startTime; })
    .observe({ type: "largest-contentful-paint", buffered: true });
  document.addEventListener("loadeddata", () => { window.firstPicture ??= performance.now(); }, true);
"""
# The waits for data of a video that plays, in seconds, each with the moment at which it began.
STALLS = """() => {
  window.stalls = [];
  const video = document.querySelector("#player video");
  let since = null;
  video.addEventListener("waiting", () => { if (!video.seeking) since = performance.now(); });
  video.addEventListener("playing", () => {
    if (since !== null) stalls.push([since / 1000, (performance.now() - since) / 1000]);
    since = null;
  });
}"""


@pytest.fixture(scope="module")
def video(lasting_rows, tmp_path_factory):
    for number in range(4):
        poster(VideoFactory(title=f"A related walk {number}", slug=f"related-{number}", public=True), number)
    return make(tmp_path_factory.mktemp("speed"), CLIP, "A walk")


@pytest.fixture(scope="module")
def hard(video, tmp_path_factory):
    return make(tmp_path_factory.mktemp("hard"), HARD, "Rain")


def make(folder, pictures, title):
    clip = clips.make(folder / "clip.mp4", *pictures, *tone(440, SECONDS), *clips.H264, *clips.AAC)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VLOG_LADDER", LADDER)
        return live.publish(clip, title, folder / "node.log")


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1366, "height": 900})
    page = context.new_page()
    page.add_init_script(OBSERVE)
    yield page
    context.close()


@pytest.mark.slow("makes a video of a minute")
def test_a_page_that_is_only_opened_loads_little(page, address, video):
    page.goto(address + video.get_absolute_url())
    until(page, "window.firstPicture > 0")
    page.wait_for_load_state("networkidle")
    found = page.evaluate(LOADED)
    # The pictures of other videos are loaded lazily, those that the viewer may soon see.
    posters = [name for name, _ in found["requests"] if "/poster.jpg" in name and f"/media/{video.pk}-" not in name]
    own = {name: size for name, size in found["requests"] if not MEDIA.search(name) and name not in posters}
    assert sum(size for name, size in own.items() if "poster.jpg" not in name) <= PAGE_BYTES, own
    assert len(own) <= PAGE_REQUESTS, own
    assert found["ahead"] <= 6  # seconds


@pytest.mark.slow("makes a video of a minute")
@pytest.mark.parametrize("width", [1366, 390])
@pytest.mark.parametrize("path", ["/watch/a-walk/", "/"])
def test_it_is_shown_soon_and_nothing_moves(browser, address, video, width, path):
    found = [measure(browser, address + path, width) for _ in range(TRIES)]
    assert min(largest for largest, _ in found) <= LCP, found
    assert max(shifts for _, shifts in found) <= CLS, found


def measure(browser, url, width):
    """Return when the largest part of a page was shown, and how much of the page moved, on a slow machine."""
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    page.add_init_script(OBSERVE)
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
    page.goto(url)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(2500)
    found = page.evaluate("[window.largest, window.shifts]")
    context.close()
    return found


def bandwidth(session, kilobits):
    speed = {"offline": False, "latency": 60, "downloadThroughput": kilobits * 125, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", speed)


@pytest.mark.slow("plays for a minute on a line that slows down")
@pytest.mark.parametrize("title", ["A walk", "Rain"])
def test_a_line_that_drops_to_300_kbit_and_returns_is_not_noticed(page, address, video, hard, title):
    played = next(each for each in (video, hard) if each.title == title)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    bandwidth(session, 4000)
    page.goto(address + played.get_absolute_url())
    until(page, f"{VIDEO}.readyState >= 2")
    page.evaluate(STALLS)
    page.evaluate(f"{VIDEO}.muted = true; {VIDEO}.play()")
    until(page, f"{VIDEO}.currentTime > 8")
    bandwidth(session, 300)
    until(page, f"{VIDEO}.currentTime > 40")
    bandwidth(session, 4000)
    until(page, f"{VIDEO}.ended")
    stalls = page.evaluate("stalls")
    assert [length for _, length in stalls[1:] if length > 2] == [], stalls


@pytest.mark.slow("plays for half a minute on a slow line")
def test_a_slow_line_begins_low_and_stays_there(page, address, video):
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    page.goto(f"{address}/")
    bandwidth(session, 400)
    page.goto(address + video.get_absolute_url(), timeout=90_000)
    until(page, f"{VIDEO}.readyState >= 2")
    page.evaluate(STALLS)
    page.evaluate(f"{VIDEO}.muted = true; {VIDEO}.play()")
    until(page, f"{VIDEO}.currentTime > 25")
    assert len(page.evaluate("stalls")) <= 1
    assert page.evaluate(f"{VIDEO}.videoHeight") <= 360


@pytest.mark.slow("makes a video of a minute")
def test_the_page_comes_back_from_the_browsers_memory(browser, address, video):
    usual = {"executable_path": shutil.which("chromium"), "args": live.CHROMIUM_ARGUMENTS}
    with browser.browser_type.launch(**usual, ignore_default_args=["--disable-back-forward-cache"]) as other:
        page = other.new_page()
        page.add_init_script("addEventListener('pageshow', ({ persisted }) => { window.cameBack = persisted; })")
        page.goto(address + video.get_absolute_url())
        until(page, f"{VIDEO}.readyState >= 2")
        page.evaluate(f"{VIDEO}.muted = true; {VIDEO}.currentTime = 4; window.same = true")
        page.goto(f"{address}/")
        page.go_back(wait_until="commit")
        until(page, "document.readyState === 'complete'")
        why = page.evaluate("JSON.stringify(performance.getEntriesByType('navigation')[0].notRestoredReasons)")
        assert page.evaluate("window.same === true && window.cameBack === true"), json.loads(why)
        page.evaluate(f"{VIDEO}.play()")
        until(page, f"{VIDEO}.currentTime > 5")
