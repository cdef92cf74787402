"""What the figures must reach."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.backup import Restore
from benchmarks.captions import Captions
from benchmarks.desk import Desk
from benchmarks.fleet import AGENTS, Fleet
from benchmarks.kept import Kept
from benchmarks.measures import Cost, Latency, Nodes
from benchmarks.player import Watching
from benchmarks.releases import LARGE, SMALL, TIMES, Releases
from benchmarks.shared import Shared
from benchmarks.sources import Sources
from benchmarks.uploads import Uploads
from benchmarks.web import Throughput

Result = (
    Captions
    | Cost
    | Desk
    | Fleet
    | Kept
    | Latency
    | Nodes
    | Releases
    | Restore
    | Shared
    | Sources
    | Throughput
    | Uploads
    | Watching
)

PAGES_A_SECOND = {"home": 400, "watch": 350, "search": 200}
PAGE_COSTS = {
    ("large", "home"): 0.45,
    ("large", "watch"): 0.35,
    ("large", "search"): 0.5,
    ("growth", "search"): 1.5,
    **{(name, kind): limit for name, limit in (("small", 1.02), ("growth", 1.1)) for kind in ("home", "watch")},
}
REPORTS_A_SECOND = 2000
KEPT_PAGES_A_SECOND = 1500
HEARTBEATS_A_SECOND, CLAIMS_A_SECOND = 500, 300
DESK_MS, DESK_KB = 60, 150
RESTORE_SECONDS, DOCTOR_SECONDS = 120, 10


@dataclass(frozen=True)
class Bar:
    """A figure that must not be above a limit, or not below it where `at_least`.

    Times of the clock are shown and fail nothing: machines differ.
    """

    text: str
    figure: float
    limit: float
    unit: str = ""
    decides: bool = True
    at_least: bool = False

    @property
    def sign(self) -> str:
        return "≥" if self.at_least else "≤"

    @property
    def met(self) -> bool:
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit


def bars_of(name: str, result: Result) -> Iterator[Bar]:
    if isinstance(result, Latency):
        short, long = result.medians
        yield Bar("(c) a 20 s source plays after", short, 8, " s", decides=False)
        yield Bar("(c) a 10 min source plays after", long, 8, " s", decides=False)
        yield Bar("(c) 10 min ÷ 20 s", result.ratio, 1.3, decides=False)
    elif isinstance(result, Watching):
        yield Bar("(f) first picture of a 10 min source", statistics.median(result.first), 8, " s", decides=False)
        yield Bar("(f) first picture after a jump", statistics.median(result.jump), 12, " s", decides=False)
        yield Bar("(f) first picture of 2160p", statistics.median(result.large), 10, " s", decides=False)
    elif isinstance(result, Nodes | Shared | Fleet):
        yield from worker_bars_of(result)
    elif isinstance(result, Restore):
        yield Bar("(j) restore of the database", result.restore, RESTORE_SECONDS, " s", decides=False)
        yield Bar("(j) the doctor", result.doctor, DOCTOR_SECONDS, " s", decides=False)
        yield Bar("(j) tables that came back otherwise", len(result.different), 0)
    elif isinstance(result, Sources | Uploads):
        yield from arrival_bars_of(result)
    elif isinstance(result, Captions | Desk | Kept | Releases | Throughput):
        yield from page_bars_of(result)
    else:
        yield from cost_bars_of(name, result)


def page_bars_of(result: Captions | Desk | Kept | Releases | Throughput) -> Iterator[Bar]:
    if isinstance(result, Releases):
        sides = {"large": f"now ÷ {LARGE}", "small": f"small site ÷ {SMALL}", "growth": f"{TIMES} × the videos"}
        for (name, kind), limit in PAGE_COSTS.items():
            yield Bar(f"(p) {kind}, {sides[name]}", result.pairs[name][kind].ratio, limit, decides=False)
        return
    if isinstance(result, Captions):
        yield Bar("(x) the caption desk opens after", statistics.median(result.opened), 1, " s", decides=False)
        yield Bar("(x) script for a letter, 95 %", result.letter, 16, " ms")
        yield Bar("(x) search in captions, 95 %", result.search, 50, " ms", decides=False)
        return
    if isinstance(result, Kept | Desk):
        yield from kept_bars_of(result) if isinstance(result, Kept) else desk_bars_of(result)
        return
    for kind, limit in PAGES_A_SECOND.items():
        yield Bar(f"(e) {kind}", getattr(result, kind).rate, limit, "/s", decides=False, at_least=True)
    yield Bar("(e) CPU of home with ÷ without sessions", result.ratio, 1.05, decides=False)
    yield Bar("(e) reports of players", result.reports.rate, REPORTS_A_SECOND, "/s", decides=False, at_least=True)
    yield Bar("(e) 99 % of the reports take", result.reports.p99, 100, " ms", decides=False)


def kept_bars_of(result: Kept) -> Iterator[Bar]:
    for kind in ("home", "watch"):
        rate = getattr(result, kind).rate
        yield Bar(f"(w) {kind}, kept", rate, KEPT_PAGES_A_SECOND, "/s", decides=False, at_least=True)
    yield Bar("(w) a changed title", max(result.changes), 1, " s", decides=False)


def desk_bars_of(result: Desk) -> Iterator[Bar]:
    for kind in ("first", "searched", "late"):
        yield Bar(f"(v) list of videos, {kind}", result.median(kind), DESK_MS, " CPU ms", decides=False)
    yield Bar("(v) list of videos, compressed", result.weight / 1000, DESK_KB, " KB")
    for name, milliseconds in result.clicks.items():
        yield Bar(f"(v) script and layout, {name}", milliseconds, 100, " ms", decides=False)


def worker_bars_of(result: Nodes | Shared | Fleet) -> Iterator[Bar]:
    if isinstance(result, Nodes):
        yield Bar("(h) two nodes against one", result.ratio, 1.8, decides=False, at_least=True)
    elif isinstance(result, Shared):
        yield Bar("(k) a node and two agents against a node", result.ratio, 2.8, decides=False, at_least=True)
        yield Bar("(k) bytes read by agents ÷ needed", result.excess, 1.1)
    else:
        lives, claims = result.heartbeats.rate, result.claims
        yield Bar("(i) heartbeats of workers", lives, HEARTBEATS_A_SECOND, "/s", decides=False, at_least=True)
        yield Bar(f"(i) {AGENTS} idle workers, of a core", 100 * result.idle, 15, " %", decides=False)
        yield Bar("(i) claims of 50 workers", claims, CLAIMS_A_SECOND, "/s", decides=False, at_least=True)
        yield Bar("(i) pieces given twice", result.twice, 0)


def arrival_bars_of(result: Sources | Uploads) -> Iterator[Bar]:
    if isinstance(result, Uploads):
        yield Bar("(u) speed of tus ÷ speed of the form", result.ratio, 0.8, decides=False, at_least=True)
        yield Bar("(u) memory of a process above idle", result.memory / 2**20, 50, " MB")
        yield Bar("(u) bytes written ÷ uploaded", result.written / result.uploaded, 1.01)
        return
    second = sum(result.two_tracks) / sum(result.one_track) - 1
    yield Bar("(s) a second track, of the chain", 100 * second, 1.5, " %", decides=False)
    yield Bar("(s) an hour of AAC is public after", statistics.median(result.aac_clock), 20, " s", decides=False)
    yield Bar("(s) an hour of MP3 plays after", statistics.median(result.mp3_clock), 8, " s", decides=False)
    yield Bar("(s) chain ÷ bare ffmpeg, MP3", sum(result.mp3) / sum(result.bare), 1.15)
    yield Bar("(s) slides ÷ moving pictures", sum(result.slides) / sum(result.moving), 0.25)


def cost_bars_of(name: str, result: Cost) -> Iterator[Bar]:
    if name == "d":
        yield Bar("(d) captions ÷ bare whisper", result.ratio, 1.1)
    elif name == "l":
        yield Bar("(l) object store ÷ disk", result.ratio, 1.15)
    elif name in {"a", "g"}:
        text, limit = {"a": ("(a) chain ÷ bare ffmpeg, 60 s", 1.10), "g": ("(g) chain ÷ bare ffmpeg, 10 min", 1.06)}[
            name
        ]
        yield Bar(text, result.ratio, limit)
        yield Bar(f"({name}) bytes written ÷ package", max(result.written), 1.05, decides=False)
        yield Bar(f"({name}) a worker's Python", result.memory / 2**20, 150, " MB", decides=False)
    else:
        yield Bar("(b) chain ÷ bare ffmpeg, 1080p copied", result.ratio, 0.65)


def table(bars: list[Bar]) -> str:
    rows = [
        f"  {bar.text:<42} {bar.figure:6.2f}{bar.unit:<3} {bar.sign} {bar.limit:<5} {'met' if bar.met else 'MISSED'}"
        for bar in bars
    ]
    return "\n".join(["", *rows])
