"""What the list of videos costs an editor's site with a hundred thousand videos."""

import gzip
import random
import shutil
import statistics
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import sync_playwright

from benchmarks import data
from benchmarks.installation import Installation
from benchmarks.player import CHROMIUM
from benchmarks.processes import difference, total
from vlog import embedded

LARGE = data.Size(videos=100_000, sessions=0)
ROUNDS, REQUESTS = 50, 4  # requests of one round, because the clock of CPU time is coarse
LIST = "/admin/videos/video/"
VIEWPORT: Any = {"width": 1366, "height": 900}
SLOWDOWN, TRIALS = 4, 11  # a phone of some years ago
WORK = ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")  # seconds, as Chromium counts them
CLICKS = {
    "tick": "document.querySelector('#result_list tbody input').click()",
    "menu": "document.querySelector('.actions details.menu summary').click()",
    "filter": "document.querySelector('details.filter-sheet summary').click()",
}


@dataclass
class Desk:
    """CPU milliseconds of a request to the first page, to searches and to page 1 000, one figure a round.

    weight: the bytes of the first page, compressed. clicks: milliseconds of script and layout of each click in the
    first page, in a browser that is slowed down.
    """

    first: list[float] = field(default_factory=list)
    searched: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    weight: int = 0
    videos: int = 0
    clicks: dict[str, float] = field(default_factory=dict)

    def median(self, kind: str) -> float:
        return statistics.median(getattr(self, kind))


def measure_desk(installation: Installation, *, quick: bool) -> Desk:
    size = data.QUICK if quick else LARGE
    print("(v) fills the database", flush=True)
    data.fill(embedded.database_url(installation.data), size)
    rounds = 2 if quick else ROUNDS
    words = data.words()
    drawn = random.Random(5)  # noqa: S311 - the same at each run
    searches = [f"{LIST}?q={drawn.choice(words[: len(words) // 2])}" for _ in range(rounds * REQUESTS)]
    late = f"{LIST}?p={size.videos // 100}"  # page 1 000 of 100 000 videos
    return Desk(
        first=_costs(installation, [LIST] * rounds * REQUESTS),
        searched=_costs(installation, searches),
        late=_costs(installation, [late] * rounds * REQUESTS),
        weight=len(gzip.compress(installation.editor.page(LIST))),
        videos=size.videos,
        clicks=_clicks(installation),
    )


def _clicks(installation: Installation) -> dict[str, float]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        page = browser.new_page(base_url=f"http://127.0.0.1:{installation.port}", viewport=VIEWPORT)
        page.goto("/admin/login/")
        page.fill("#id_username", "bench")
        page.fill("#id_password", installation.password)
        page.click("[type=submit]")
        devtools = page.context.new_cdp_session(page)
        devtools.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
        devtools.send("Performance.enable")
        found = {name: statistics.median(_click(page, devtools, name) for _ in range(TRIALS)) for name in CLICKS}
        browser.close()
    return found


def _click(page: Any, devtools: Any, name: str) -> float:
    """Return the milliseconds of script and layout that a click needs in a page that is at rest."""
    page.goto(LIST)
    if name == "menu":  # the bar is there when a row is ticked
        page.evaluate(CLICKS["tick"])
    page.wait_for_timeout(500)
    before = _work(devtools)
    page.evaluate(CLICKS[name])
    page.wait_for_timeout(500)
    return 1000 * (_work(devtools) - before)


def _work(devtools: Any) -> float:
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return sum(metric["value"] for metric in metrics if metric["name"] in WORK)


def _costs(installation: Installation, paths: list[str]) -> list[float]:
    """Return the CPU milliseconds of a request, for each round; the first requests are not counted."""
    for path in paths[:REQUESTS]:
        installation.editor.page(path)
    figures = []
    for start in range(0, len(paths), REQUESTS):
        before = installation.family.seconds()
        for path in paths[start : start + REQUESTS]:
            installation.editor.page(path)
        figures.append(1000 * total(difference(installation.family.seconds(), before)) / REQUESTS)
    return figures
