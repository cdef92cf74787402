"""How long an editor waits for a picture in Chromium: right after the upload, and after a jump to the middle."""

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from benchmarks.clips import Clip
from benchmarks.installation import Gave, Installation
from benchmarks.measures import warm_up

CHROMIUM = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--autoplay-policy=no-user-gesture-required")
LOOK = 50  # milliseconds
PATIENCE = 120  # seconds
VIDEO = "document.querySelector('video')"
# Of the picture that is shown, its time in the video; null before the first one.
SHOWN = """() => {
  window.shown = null;
  const video = document.querySelector("video");
  if (!video) return false;
  const note = (_, { mediaTime }) => { shown = mediaTime; video.requestVideoFrameCallback(note); };
  video.requestVideoFrameCallback(note);
  return true;
}"""


@dataclass
class Watching:
    """Seconds from the upload's last byte to the first picture, and from a jump to the first picture there."""

    first: list[float] = field(default_factory=list)
    jump: list[float] = field(default_factory=list)
    large: list[float] = field(default_factory=list)


def measure_watching(installation: Installation, clip: Clip, large: Clip, rounds: int) -> Watching:
    """The jump is made in `clip`; of `large` only the first picture is waited for."""
    sources, found, address = (clip.make(), large.make()), Watching(), f"http://127.0.0.1:{installation.port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        page = browser.new_page(base_url=address, viewport={"width": 1000, "height": 700})
        page.goto("/admin/login/")
        page.fill("#id_username", "bench")
        page.fill("#id_password", installation.password)
        page.click("[type=submit]")
        for number in range(rounds):
            found.first.append(_first_picture(installation, page, sources[0], f"{clip.name}-{number}"))
            found.jump.append(_jump(page))
            _clear(installation, page)
            found.large.append(_first_picture(installation, page, sources[1], f"{large.name}-{number}"))
            _clear(installation, page)
        browser.close()
    return found


def _clear(installation: Installation, page: Any) -> None:
    page.goto("about:blank")
    installation.delete_everything()


def _first_picture(installation: Installation, page: Any, source: Path, title: str) -> float:
    warm_up(installation)
    sent = installation.editor.upload(source, title)
    while not (page.goto(f"/watch/{title}/").ok and page.evaluate(SHOWN)):  # analysed within a second or two
        if time.monotonic() - sent > PATIENCE:
            raise Gave("the preview never showed a player")
        page.wait_for_timeout(LOOK)
    page.evaluate(f"{VIDEO}.muted = true; {VIDEO}.play()")
    _until(page, "shown !== null")
    return time.monotonic() - sent


def _jump(page: Any) -> float:
    middle = page.evaluate(f"{VIDEO}.duration / 2")
    started = time.monotonic()
    page.evaluate(f"{VIDEO}.currentTime = {middle}")
    _until(page, f"shown >= {middle} - 0.1")
    return time.monotonic() - started


def _until(page: Any, condition: str) -> None:
    end = time.monotonic() + PATIENCE
    while not page.evaluate(condition):
        if time.monotonic() > end:
            raise Gave(f"waited in vain for {condition}")
        page.wait_for_timeout(LOOK)
