"""`python -m benchmarks`: measure, print a table, write benchmarks/results/latest.json."""

import argparse
import json
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import clips, data
from benchmarks.backup import Restore, measure_restore
from benchmarks.fleet import AGENTS, Fleet, measure_fleet
from benchmarks.installation import Gave, Installation
from benchmarks.measures import (
    PRESET,
    Cost,
    Latency,
    Nodes,
    measure_captions,
    measure_cost,
    measure_latency,
    measure_nodes,
)
from benchmarks.objects import ObjectStore, measure_store
from benchmarks.player import Watching, measure_watching
from benchmarks.processes import Family, Seconds, total
from benchmarks.shared import Shared, measure_shared
from benchmarks.web import Load, Throughput, measure_web
from transcoding.engine.ffmpeg import processes
from transcoding.tests import speech

Result = Cost | Fleet | Latency | Nodes | Restore | Shared | Throughput | Watching

RESULTS = Path(__file__).parent / "results"
IDLE_SECONDS = 20
PAGES_A_SECOND = 150
REPORTS_A_SECOND = 1000
HEARTBEATS_A_SECOND, CLAIMS_A_SECOND = 500, 300
RESTORE_SECONDS, DOCTOR_SECONDS = 120, 10
QUESTIONS = "abcdefghijkl"
BUSY = 0.1  # cores that other programs may use before the figures are not to be trusted


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


def main() -> int:
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # an exception, so that the installation goes too
    family = Family()
    results: dict[str, Result] = {}
    others: dict[str, float] = {}
    chosen = set(options.only or QUESTIONS)
    weights = speech.weights(clips.FOLDER / "weights") if "d" in chosen else None
    special: dict[str, dict[str, str]] = {"d": {"whisper": str(weights)}, "h": {"only": "web,tasks,beat"}}
    special["i"] = special["k"] = special["h"]
    special["j"] = {"only": "web"}  # no roll-up changes what is compared
    store = ObjectStore(family)
    special["l"] = store.settings
    groups = (chosen - set(special), chosen & {"d"}, chosen & {"h", "k"}, *(chosen & {name} for name in "ijl"))
    try:
        for names in groups:
            if not names:
                continue
            beside = store if "l" in names else nullcontext()
            with beside, Installation(family, options.dir, **special.get(min(names), {})) as installation:
                idle = installation.idle_rate(5 if options.quick else IDLE_SECONDS)
                print(f"idle: {1000 * total(idle):.1f} ms of CPU a second", flush=True)
                for name in sorted(names):
                    before, started = family.strangers(), time.monotonic()
                    results[name] = measure(name, installation, idle, options)
                    others[name] = (family.strangers() - before) / (time.monotonic() - started)
                    print(report(name, results[name], others[name]), flush=True)
    except Gave as error:
        print(error, file=sys.stderr)
        return 1
    bars = [bar for name, result in results.items() for bar in bars_of(name, result)]
    print(table(bars))
    write(results, bars, idle, others)
    return 0 if options.quick or all(bar.met for bar in bars if bar.decides) else 1


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=QUESTIONS, action="append", help="one question; may be repeated")
    parser.add_argument("--quick", action="store_true", help="short clips, one round: whether it works at all")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 3 of c and f, 1 of g and k, else 2")
    parser.add_argument("--dir", type=Path, default=tempfile.gettempdir(), help="where the data goes; one disk for all")
    return parser.parse_args()


def measure(name: str, installation: Installation, idle: Seconds, options: argparse.Namespace) -> Result:
    if name in {"e", "i", "j"}:
        return measure_site(name, installation, idle, quick=options.quick)
    if name == "c":
        long = clips.FOREIGN if options.quick else clips.LONG
        return measure_latency(installation, clips.SHORT, long, options.rounds or (1 if options.quick else 3))
    if name == "f":
        long = clips.FOREIGN if options.quick else clips.LONG
        large = clips.QUICK_FOREIGN if options.quick else clips.LARGE
        return measure_watching(installation, long, large, options.rounds or (1 if options.quick else 3))
    rounds = options.rounds or (1 if options.quick or name in {"g", "k"} else 2)
    if name in {"h", "k"}:
        return measure_shares(name, installation, rounds, quick=options.quick)
    if name == "d":
        source = clips.speech(clips.QUICK_SPEECH_SECONDS if options.quick else clips.SPEECH_SECONDS).make()
        return measure_captions(installation, source, speech.weights(clips.FOLDER / "weights"), rounds, idle)
    chosen = {
        ("a", False): clips.FOREIGN,
        ("a", True): clips.QUICK_FOREIGN,
        ("b", False): clips.FITTING,
        ("b", True): clips.QUICK_FITTING,
        ("g", False): clips.LONG,
        ("g", True): clips.FOREIGN,
        ("l", False): clips.FOREIGN,
        ("l", True): clips.QUICK_FOREIGN,
    }[name, options.quick]
    ask = measure_store if name == "l" else measure_cost
    return ask(installation, chosen, rounds, idle)


def measure_shares(name: str, installation: Installation, rounds: int, *, quick: bool) -> Nodes | Shared:
    """What several workers make together."""
    if name == "k":
        real = clips.QUICK_FOREIGN if quick else clips.PIECES
        return measure_shared(installation, clips.bars(300 if quick else 3600), real, rounds)
    return measure_nodes(installation, clips.QUICK_FOREIGN if quick else clips.PIECES, rounds)


def measure_site(name: str, installation: Installation, idle: Seconds, *, quick: bool) -> Result:
    """What needs no encoder."""
    if name == "i":
        return measure_fleet(installation, idle, quick=quick)
    size = data.QUICK if quick else data.Size()
    return measure_restore(installation, size) if name == "j" else measure_web(installation, size, 3 if quick else 15)


def report(name: str, result: Result, others: float) -> str:
    """The figures of one question, line by line."""
    doubt = f"; other programs used {others:.2f} cores meanwhile: do not trust this" if others > BUSY else ""
    if isinstance(result, Latency | Watching | Nodes | Shared):
        title, rows = waits(result)
    elif isinstance(result, Fleet | Restore | Throughput):
        title, rows = site(result)
    else:
        title, rows = "CPU seconds", costs(name, result)
    return "\n".join([f"({name}) {title}{doubt}", *(f"  {row}" for row in rows)])


def waits(result: Latency | Watching | Nodes | Shared) -> tuple[str, list[str]]:
    """What an editor waits for: a title and its rows."""
    if isinstance(result, Latency):
        title = "upload complete to first segments"
        lines = {"20 s source": result.short, "10 min source": result.long}
    elif isinstance(result, Watching):
        title = "upload complete to pictures in Chromium"
        lines = {"first picture": result.first, "after a jump": result.jump, "first of 2160p": result.large}
    elif isinstance(result, Nodes):
        title = "upload complete to publication, one core each"
        lines = {"one node": result.one, "two nodes": result.two}
    else:
        title = f"upload complete to publication, encoders asleep; agents read {result.excess:.3f} times their need"
        lines = {"one node": result.alone, "with two agents": result.together}
    return title, [f"{text:<24} {_list(values)} s" for text, values in lines.items()]


def site(result: Fleet | Restore | Throughput) -> tuple[str, list[str]]:
    """What needs no encoder: a title and its rows."""
    if isinstance(result, Fleet):
        rows = [_load("heartbeats", result.heartbeats), _load("claims over HTTP", result.questions)]
        rows += [f"{'claims of the queue':<24} {result.claims:7.1f}/s"]
        rows += [f"{'idle fleet':<24} {100 * result.idle:.1f} % of a core, {result.idle_questions} questions"]
        return "remote workers", rows
    if isinstance(result, Restore):
        times = {
            "backup": result.backup,
            "backup --verify": result.verify,
            "restore": result.restore,
            "doctor": result.doctor,
        }
        rows = [f"{text:<24} {seconds:.1f} s" for text, seconds in times.items()]
        return "the whole database in a file and back", [*rows, f"{'archive':<24} {result.archive / 2**20:.1f} MB"]
    kinds = ("home", "watch", "search", "busy_home", "home_again", "reports")
    return "pages", [_load(kind.replace("_", " "), getattr(result, kind)) for kind in kinds]


def costs(name: str, result: Cost) -> list[str]:
    sides = {"d": ("bare whisper", "the worker"), "l": ("on the disk", "in an object store")}
    bare, ours = sides.get(name, ("bare ffmpeg", "the chain"))
    used = sorted(result.by_program.items(), key=lambda item: -item[1])
    rows = [
        f"{bare:<24} {_list(result.bare)} CPU s in {_list(result.bare_wall)} s",
        f"{ours:<24} {_list(result.chain)} CPU s in {_list(result.chain_wall)} s",
        *(f"  {program:<22} {seconds:6.2f}" for program, seconds in used if seconds > 0.005),
    ]
    if result.written:
        rows += [
            f"{'written ÷ package':<24} {_list(result.written)}",
            f"{'memory of Python':<24} {result.memory / 2**20:.0f} MB",
        ]
    return rows


def _load(text: str, load: Load) -> str:
    return f"{text:<24} {load.rate:7.1f}/s, 99 % within {load.p99:6.1f} ms, {load.cost:5.2f} CPU ms each"


def _list(values: list[float]) -> str:
    return " / ".join(f"{value:.2f}" for value in values)


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
    elif isinstance(result, Throughput):
        for kind in ("home", "watch", "search"):
            yield Bar(f"(e) {kind}", getattr(result, kind).rate, PAGES_A_SECOND, "/s", decides=False, at_least=True)
        yield Bar("(e) CPU of home with ÷ without sessions", result.ratio, 1.05, decides=False)
        yield Bar("(e) reports of players", result.reports.rate, REPORTS_A_SECOND, "/s", decides=False, at_least=True)
        yield Bar("(e) 99 % of the reports take", result.reports.p99, 100, " ms", decides=False)
    else:
        yield from cost_bars_of(name, result)


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


def write(results: dict[str, Result], bars: list[Bar], idle: Seconds, others: dict[str, float]) -> None:
    RESULTS.mkdir(exist_ok=True)
    found: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()},
        "versions": {"python": platform.python_version(), "ffmpeg": processes.version()},
        "preset": PRESET,
        "idle": total(idle),
        "other_programs": others,
        "bars": [asdict(bar) | {"met": bar.met} for bar in bars],
        "results": {name: asdict(result) for name, result in results.items()},
    }
    (RESULTS / "latest.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    print(f"\nwritten to {RESULTS / 'latest.json'}")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main())
