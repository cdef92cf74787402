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
from contextlib import nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import clips, data
from benchmarks.backup import Restore, measure_restore
from benchmarks.bars import Bar, Result, bars_of, table
from benchmarks.captions import Captions, measure_caption_pages
from benchmarks.desk import Desk, measure_desk
from benchmarks.fleet import Fleet, measure_fleet
from benchmarks.installation import Gave, Installation
from benchmarks.kept import SETTINGS as KEEPING
from benchmarks.kept import Kept, measure_kept
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
from benchmarks.releases import Releases, Used, measure_releases
from benchmarks.shared import Shared, measure_shared
from benchmarks.sources import Sources, measure_sources
from benchmarks.uploads import Uploads, measure_uploads
from benchmarks.web import Load, Throughput, measure_web
from transcoding.engine.ffmpeg import processes
from transcoding.tests import speech

RESULTS = Path(__file__).parent / "results"
IDLE_SECONDS = 20
QUESTIONS = "abcdefghijklpsuvwx"
UPLOAD_BYTES, QUICK_UPLOAD_BYTES = 2 << 30, 64 << 20
BUSY = 0.1  # cores that other programs may use before the figures are not to be trusted


def main() -> int:
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # an exception, so that the installation goes too
    family = Family()
    results: dict[str, Result] = {}
    others: dict[str, float] = {}
    idle: Seconds = {}
    chosen = set(options.only or QUESTIONS)
    weights = speech.weights(clips.FOLDER / "weights") if "d" in chosen else None
    special: dict[str, dict[str, str]] = {"d": {"whisper": str(weights)}, "h": {"only": "web,tasks,beat"}}
    special["i"] = special["k"] = special["h"]
    # No roll-up changes what is compared, no worker reads what arrives.
    special["j"] = special["u"] = special["v"] = {"only": "web"}
    special["e"] = {"VLOG_SEARCH_LIMIT": "0"}
    special["x"] = {"only": "web", **special["e"]}
    special["w"] = KEEPING
    store = ObjectStore(family)
    special["l"] = store.settings
    special["p"] = {}  # it has several sites of its own
    groups = (chosen - set(special), chosen & {"d"}, chosen & {"h", "k"}, *(chosen & {name} for name in "eijluvwx"))
    try:
        if "p" in chosen:
            results["p"], others["p"] = measure_alone(family, options)
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


def measure_alone(family: Family, options: argparse.Namespace) -> tuple[Releases, float]:
    """Return what needs several sites at a time, and the cores that other programs used meanwhile."""
    before, started = family.strangers(), time.monotonic()
    result = measure_releases(family, options.dir, options.rounds or (1 if options.quick else 3), quick=options.quick)
    others = (family.strangers() - before) / (time.monotonic() - started)
    print(report("p", result, others), flush=True)
    return result, others


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=QUESTIONS, action="append", help="one question; may be repeated")
    parser.add_argument("--quick", action="store_true", help="short clips, one round: whether it works at all")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 3 of c and f, 1 of g and k, else 2")
    parser.add_argument("--dir", type=Path, default=tempfile.gettempdir(), help="where the data goes; one disk for all")
    return parser.parse_args()


def measure(name: str, installation: Installation, idle: Seconds, options: argparse.Namespace) -> Result:
    if name in {"e", "i", "j", "v", "w", "x"}:
        return measure_site(name, installation, idle, quick=options.quick)
    if name == "c":
        long = clips.FOREIGN if options.quick else clips.LONG
        return measure_latency(installation, clips.SHORT, long, options.rounds or (1 if options.quick else 3))
    if name == "f":
        long = clips.FOREIGN if options.quick else clips.LONG
        large = clips.QUICK_FOREIGN if options.quick else clips.LARGE
        return measure_watching(installation, long, large, options.rounds or (1 if options.quick else 3))
    rounds = options.rounds or (1 if options.quick or name in {"g", "k"} else 2)
    if name in {"h", "k", "u"}:
        return measure_shares(name, installation, rounds, quick=options.quick)
    if name in {"d", "s"}:
        return measure_sound(name, installation, rounds, idle, quick=options.quick)
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


def measure_sound(name: str, installation: Installation, rounds: int, idle: Seconds, *, quick: bool) -> Cost | Sources:
    """What captions cost, and sources that are not one picture and one sound."""
    if name == "s":
        return measure_sources(installation, rounds, idle, quick=quick)
    source = clips.speech(clips.QUICK_SPEECH_SECONDS if quick else clips.SPEECH_SECONDS).make()
    return measure_captions(installation, source, speech.weights(clips.FOLDER / "weights"), rounds, idle)


def measure_shares(name: str, installation: Installation, rounds: int, *, quick: bool) -> Nodes | Shared | Uploads:
    """What several workers make together, and what several clients send at once."""
    if name == "u":
        return measure_uploads(installation, QUICK_UPLOAD_BYTES if quick else UPLOAD_BYTES, rounds)
    if name == "k":
        real = clips.QUICK_FOREIGN if quick else clips.PIECES
        return measure_shared(installation, clips.bars(300 if quick else 3600), real, rounds)
    return measure_nodes(installation, clips.QUICK_FOREIGN if quick else clips.PIECES, rounds)


def measure_site(name: str, installation: Installation, idle: Seconds, *, quick: bool) -> Result:
    """What needs no encoder."""
    if name == "v":
        return measure_desk(installation, quick=quick)
    if name == "w":
        return measure_kept(installation, quick=quick)
    if name == "x":
        return measure_caption_pages(installation, quick=quick)
    if name == "i":
        return measure_fleet(installation, idle, quick=quick)
    size = data.QUICK if quick else data.Size()
    return measure_restore(installation, size) if name == "j" else measure_web(installation, size, 3 if quick else 15)


def report(name: str, result: Result, others: float) -> str:
    """The figures of one question, line by line."""
    doubt = f"; other programs used {others:.2f} cores meanwhile: do not trust this" if others > BUSY else ""
    if isinstance(result, Latency | Watching | Nodes | Shared):
        title, rows = waits(result)
    elif isinstance(result, Captions | Desk | Fleet | Kept | Restore | Throughput | Uploads):
        title, rows = site(result)
    elif isinstance(result, Releases):
        title = "pages of two sites in turn, CPU ms of Python and PostgreSQL"
        lines = {f"{name} {kind}": pair for name, pairs in result.pairs.items() for kind, pair in pairs.items()}
        rows = [
            f"{text:<24} {_used(pair.before)} and {_used(pair.now)}: {pair.ratio:.2f}" for text, pair in lines.items()
        ]
    elif isinstance(result, Sources):
        title, rows = "other sources", [f"{name:<24} {_list(values)} s" for name, values in asdict(result).items()]
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


def site(result: Captions | Desk | Fleet | Kept | Restore | Throughput | Uploads) -> tuple[str, list[str]]:
    """What needs no encoder: a title and its rows."""
    if isinstance(result, Captions):
        rows = [
            f"{'the desk opens':<24} {_list(result.opened)} s",
            f"{'a letter, 95 %':<24} {result.letter:.1f} ms of script",
        ]
        return "captions", [*rows, f"{'a search, 95 %':<24} {result.search:.1f} ms"]
    if isinstance(result, Desk):
        rows = [f"{kind:<24} {result.median(kind):5.1f} CPU ms" for kind in ("first", "searched", "late")]
        rows += [f"{name:<24} {value:5.1f} ms of script and layout" for name, value in result.clicks.items()]
        return f"the list of {result.videos} videos", [*rows, f"{'weight':<24} {result.weight / 1000:.0f} KB"]
    if isinstance(result, Uploads):
        rows = [f"{'the form':<24} {_list(result.plain)} s", f"{'tus':<24} {_list(result.tus)} s"]
        rows.append(f"{'memory of a process':<24} {result.memory / 2**20:.0f} MB above idle")
        return "uploads", rows
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
    return public(result)


def public(result: Kept | Throughput) -> tuple[str, list[str]]:
    """What visitors ask for: a title and its rows."""
    if isinstance(result, Kept):
        rows = [_load(kind, getattr(result, kind)) for kind in ("home", "watch")]
        return "kept pages", [*rows, f"{'a changed title':<24} {_list(result.changes)} s"]
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


def _used(costs: list[Used]) -> str:
    return " + ".join(f"{statistics.mean(part):.2f}" for part in zip(*costs, strict=True))


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
