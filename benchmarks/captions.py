"""What the caption desk with 10 000 captions and the search over a million of them cost: times that a person waits."""

import http.client
import shutil
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import psycopg
from playwright.sync_api import sync_playwright

from benchmarks import data
from benchmarks.installation import Gave, Installation
from benchmarks.player import CHROMIUM
from benchmarks.web import searches
from vlog import embedded

SIZE = data.Size(sessions=0, languages=("en", "fr", "de"))
CUES = 10_000  # of the track in the desk
LETTERS = 40
ROUNDS = 5
PATIENCE = 30_000  # milliseconds
LONG = """
INSERT INTO videos (title, slug, description, status, visibility, duration, published_at, created_at)
    VALUES ('Long', 'long', '', 'ready', 'public', 40000, now(), now());
INSERT INTO caption_tracks (video_id, number, language, origin, state)
    SELECT id, 1, 'en', 'whisper', 'published' FROM videos WHERE slug = 'long';
INSERT INTO cues (track_id, start, "end", text)
    SELECT t.id, 4 * n, 4 * n + 3, 'These are the words of caption ' || n || ', as long as captions are.'
    FROM caption_tracks t JOIN videos v ON v.id = t.video_id AND v.slug = 'long', generate_series(0, %(cues)s - 1) n
"""
DESK = "document.getElementById('caption-desk').desk"
# Goes to a place in the middle of the text, whose rows are then in the page.
GO = f"(index) => {{ {DESK}.go(index, {{ seek: false }}); }}"
FRAME = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
SPENT = ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")


@dataclass
class Captions:
    """Seconds until the desk can be used; milliseconds of the page's processor time for a letter, and of a search."""

    opened: list[float] = field(default_factory=list)
    letters: list[float] = field(default_factory=list)
    searched: list[float] = field(default_factory=list)

    @property
    def letter(self) -> float:
        return _p95(self.letters)

    @property
    def search(self) -> float:
        return _p95(self.searched)


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def measure_caption_pages(installation: Installation, *, quick: bool) -> Captions:
    url, found = embedded.database_url(installation.data), Captions()
    print("(x) fills the database", flush=True)
    data.fill(url, data.QUICK if quick else SIZE)
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in LONG.split(";\n"):
            connection.execute(statement.encode(), {"cues": CUES} if "%(cues)s" in statement else None)
    _edit(installation, found, 1 if quick else ROUNDS)
    _search(installation, found)
    return found


def _edit(installation: Installation, found: Captions, rounds: int) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        page = browser.new_page(
            base_url=f"http://127.0.0.1:{installation.port}", viewport={"width": 1366, "height": 900}
        )
        page.set_default_timeout(PATIENCE)
        page.goto("/admin/login/")
        page.fill("#id_username", "bench")
        page.fill("#id_password", installation.password)
        page.click("[type=submit]")
        page.goto("/admin/videos/captiontrack/?open=all&q=Long")
        address = page.get_by_role("link", name="Long", exact=True).get_attribute("href")
        for number in range(rounds + 1):
            seconds = _open(page, str(address))
            if number:  # the first one loads the scripts
                found.opened.append(seconds)
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        found.letters += [_type(page, devtools, 100 + 200 * number) for number in range(LETTERS)]
        browser.close()


def _open(page: Any, address: str) -> float:
    started = time.monotonic()
    page.goto(address, wait_until="commit")
    page.wait_for_selector(".cue textarea")
    return time.monotonic() - started


def _type(page: Any, devtools: Any, index: int) -> float:
    """Return what script, styles and layout of a letter take until it is shown, in time of the processor."""
    page.evaluate(GO, index)
    page.evaluate(FRAME)
    before = _spent(devtools)
    page.keyboard.press("x")
    page.evaluate(FRAME)
    return 1000 * (_spent(devtools) - before)


def _spent(devtools: Any) -> float:
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return sum(float(metric["value"]) for metric in metrics if metric["name"] in SPENT)


def _search(installation: Installation, found: Captions) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", installation.port, timeout=PATIENCE / 1000)
    for is_warm in (False, True):
        for path in searches():
            started = time.monotonic()
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            if response.status != http.client.OK:
                raise Gave(f"{path} was answered with {response.status}")
            if is_warm:
                found.searched.append(1000 * (time.monotonic() - started))
    connection.close()
