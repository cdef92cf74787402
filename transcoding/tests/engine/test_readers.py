"""Packages read by a player that shares no code with ffmpeg, nor with the player of the site: Shaka in Chromium."""

import shutil
import threading
import time
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from django.conf import settings

from transcoding.engine.package.contents import segment_name
from transcoding.engine.verify import verify
from transcoding.tests import clips
from transcoding.tests.engine.test_verify import COPIED, SAID, made
from videos.tests.live import PATIENCE

pytestmark = pytest.mark.slow("plays packages to their ends in Shaka Player and other readers")

SHAKA = settings.BASE_DIR / "node_modules/shaka-player/dist/shaka-player.compiled.js"
FRAMES = 227  # at 25 a second: three short segments and one of two GOPs
FRAME = 1 / 25  # seconds

PAGE = """<!doctype html><title>Reader</title><div><video muted></video></div><script src="/shaka.js"></script>"""

# Loads the package, or the variant of one height, and returns its variants. Errors, then and later, are added to
# window.errors.
LOAD = """async (height) => {
  const UNHURRIED = { timeout: 0, stallTimeout: 0, connectionTimeout: 0 };
  window.errors = [];
  const video = document.querySelector("video");
  const player = window.player = new shaka.Player();
  player.setVideoContainer(video.parentElement); // where it shows captions; Chromium would lose some
  await player.attach(video);
  player.addEventListener("error", ({ detail }) => errors.push(`${detail.code} ${JSON.stringify(detail.data)}`));
  video.addEventListener("error", () => errors.push(video.error.message));
  player.configure({
    abr: { enabled: false },
    preferredText: [{ language: "en" }], // chosen later, they would wait for one more segment of the video
    restrictions: height ? { minHeight: height, maxHeight: height } : {},
    streaming: { bufferingGoal: 60, retryParameters: { maxAttempts: 1, ...UNHURRIED }, stallEnabled: false },
    manifest: { retryParameters: { maxAttempts: 2, ...UNHURRIED } },
  });
  try {
    await player.load("/master.m3u8");
  } catch (error) {
    errors.push(`${error.code} ${JSON.stringify(error.data)}`);
  }
  return player.getVariantTracks().map(({ id, width, height, codecs, frameRate, language }) =>
    ({ id, width, height, codecs, frameRate, language }));
}"""

# Plays as fast as the browser can. An error stops it and is added to window.errors.
PLAY = """() => {
  const video = document.querySelector("video");
  video.playbackRate = 16;
  video.play().catch(() => {});
}"""

STATE = """() => {
  const video = document.querySelector("video");
  const ranges = [...Array(video.buffered.length).keys()].map((n) => [video.buffered.start(n), video.buffered.end(n)]);
  const { videoHeight, currentTime, duration, ended } = video;
  return { errors, ranges, videoHeight, currentTime, duration, ended };
}"""

LANGUAGES = "player.getTextTracks().filter((track) => track.active).map((track) => track.language)"

# Returns the caption that is shown at a second. Shaka may go to the beginning once more after it has loaded.
SHOWN = """(second) => {
  const [video, texts] = [document.querySelector("video"), document.querySelector(".shaka-text-container")];
  if (Math.abs(video.currentTime - second) > 0.001) video.currentTime = second;
  return video.seeking ? null : texts.textContent;
}"""


class Handler(SimpleHTTPRequestHandler):
    """Serves the page, Shaka and a package's files; records the requests in the server's list."""

    extensions_map = {".m3u8": "application/vnd.apple.mpegurl", ".vtt": "text/vtt", "": "video/mp4"}

    def do_GET(self):
        self.server.asked.append(self.path.lstrip("/"))
        contents = {"/": ("text/html", PAGE.encode()), "/shaka.js": ("text/javascript", SHAKA.read_bytes())}
        if self.path not in contents:
            return super().do_GET()
        kind, content = contents[self.path]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return None

    def log_message(self, *arguments):
        pass


@contextmanager
def served(folder: Path):
    """Serve the package over HTTP; yields the address and the list of requests."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", server.asked
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Two encoded rungs, one that was copied, and one of slides, without the frames that repeat one."""
    assert SHAKA.is_file(), "the second reader is missing: run make test once"
    folder = tmp_path_factory.mktemp("readers")
    encoded = clips.numbered(folder / "a.mp4", FRAMES, "25", "-g", "300", *clips.H264, *clips.AAC, height=480)
    copied = clips.numbered(folder / "b.mp4", FRAMES, "25", *COPIED, *clips.AAC)
    slides = clips.make(
        folder / "c.mp4",
        *("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=1/4,fps=25", "-f", "lavfi", "-i", "sine=440"),
        *("-t", str(FRAMES * FRAME), "-g", "300", *clips.H264, "-preset", "veryfast", *clips.AAC),
    )
    sources = {"encoded": encoded, "copied": copied, "slides": slides}
    return {name: made(source, folder / name) for name, source in sources.items()}


def until(page, condition, what):
    """Poll the player's state until the condition holds, and return it."""
    end = time.monotonic() + PATIENCE
    while True:
        state = page.evaluate(STATE)
        if condition(state):
            return state
        assert time.monotonic() < end, f"timed out waiting for {what}: {state}"
        page.wait_for_timeout(50)


@contextmanager
def opened(folder, browser):
    """The page in Chromium, and the list of its requests."""
    with served(folder) as (address, asked), browser.new_page() as page:
        page.goto(address)
        yield page, asked


@pytest.mark.parametrize(
    ("kind", "name"),
    [("encoded", "480p"), ("encoded", "360p"), ("copied", "360p"), ("slides", "360p")],
)
def test_every_variant_plays_through_every_boundary_to_its_last_picture(packages, browser, kind, name):
    package, height = packages[kind], int(name[:-1])
    assert verify(package.folder, package.plan) == []
    assert package.plan.leaves_out or kind != "slides"
    with opened(package.folder, browser) as (page, asked):
        (track,) = page.evaluate(LOAD, height)
        assert track["height"] == height
        page.evaluate(PLAY)
        state = until(page, lambda state: state["errors"] or state["ended"], "its end")
    assert (state["errors"], state["videoHeight"]) == ([], height)
    ((start, end),) = state["ranges"]
    assert start == pytest.approx(0, abs=FRAME)
    assert end == pytest.approx(FRAMES * FRAME, abs=FRAME)
    assert state["duration"] == pytest.approx(FRAMES * FRAME, abs=FRAME)
    assert {f"{name}/{segment_name(index)}" for index in range(len(package.plan.timeline))} < set(asked)


def test_it_reads_of_each_variant_what_it_is(packages, browser):
    with opened(packages["encoded"].folder, browser) as (page, _):
        found = {(t["width"], t["height"], t["frameRate"], t["language"]) for t in page.evaluate(LOAD, None)}
        assert found == {(854, 480, 25, "und"), (640, 360, 25, "und")}


def test_at_each_second_the_right_caption_is_shown(packages, browser):
    """On the clock of the pictures: each one from its first picture to its last."""
    moments = [
        (second, text)
        for said in SAID
        for second, text in (
            *((said.start + 2 * FRAME, said.text), (said.start - 2 * FRAME, "")),
            *((said.end - 2 * FRAME, said.text), (said.end + 2 * FRAME, "")),
        )
    ]
    with opened(packages["encoded"].folder, browser) as (page, _):
        page.evaluate(LOAD, None)
        assert page.evaluate(LANGUAGES) == ["en"]
        for second, text in moments:
            what = f"“{text}” at {second}"
            shown = until(
                page,
                lambda state, second=second, text=text: state["errors"] or page.evaluate(SHOWN, second) == text,
                what,
            )
            assert shown["errors"] == []


@pytest.mark.parametrize("fault", ["a missing segment", "no moof"])
def test_a_fault_is_detected(packages, browser, tmp_path, fault):
    """Otherwise, its silence about the other packages would prove nothing."""
    folder = shutil.copytree(packages["encoded"].folder, tmp_path / "package")
    segment = folder / "480p" / segment_name(1)
    if fault == "a missing segment":
        segment.unlink()
    else:
        segment.write_bytes(bytes(300) + segment.read_bytes()[300:])
    with opened(folder, browser) as (page, _):
        page.evaluate(LOAD, 480)
        page.evaluate(PLAY)
        assert until(page, lambda state: state["errors"], "an error")["errors"]
