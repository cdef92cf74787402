"""Rounds of scenarios on one site, and the table of what came of them."""

import argparse
import json
import logging
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from django.db.models import Max

from torture import network
from torture.fleet import Fleet
from torture.race import race
from torture.remote import REMOTE, RemoteRound
from torture.rules import check, ended, longest_piece, made_twice
from torture.scenarios import SCENARIOS, Round
from torture.site import Broken, Site, made
from transcoding import tasks
from transcoding.engine.ffmpeg import processes
from videos import archive
from videos.models import Video

log = logging.getLogger(__name__)

RACE = "last-piece"
LOOP = 9  # seconds
LOG_LINES = 60


@dataclass
class Result:
    """What came of one scenario, or of several in one video (`a+b`).

    hits: faults that struck while a piece was at work; made_twice: seconds of pictures, the most of one video;
    recovery and stopped: seconds of the clock.
    """

    scenario: str
    rounds: int = 0
    hits: int = 0
    ready: int = 0
    failed: int = 0
    deleted: int = 0
    made_twice: float = 0.0
    attempts: int = 0
    recovery: list[float] = field(default_factory=list)
    stopped: list[float] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def line(self) -> str:
        ends = f"{self.rounds:>6} {self.hits:>6} {self.ready:>6} {self.failed:>7} {self.deleted:>8}"
        times = f"{_spread(self.recovery)} {_spread(self.stopped)}"
        return f"{self.scenario:<20} {ends} {self.made_twice:>9.1f} {self.attempts:>9} {times}"


def _spread(seconds: list[float]) -> str:
    text = f"{statistics.median(seconds):.1f} / {max(seconds):.1f}" if seconds else "-"
    return f"{text:>13}"


HEAD = (
    f"{'scenario':<20} {'rounds':>6} {'hits':>6} {'ready':>6} {'failed':>7} {'deleted':>8}"
    f" {'twice, s':>9} {'attempts':>9} {'goes on, s':>13} {'stops, s':>13}"
)


def run(options: argparse.Namespace, folder: Path) -> int:
    """Every scenario that was asked for; the exit code."""
    missing = network.why_not()
    names = options.scenarios or [RACE, *SCENARIOS, *([] if missing else REMOTE)]
    if reason := _why_not(names, missing):
        print(reason)
        return 2
    if missing and not options.scenarios:
        print(f"Without remote workers: {missing}.")
    print(f"seed {options.seed}\n{HEAD}", flush=True)
    results = []
    for result in _results(options, names, folder):
        print(result.line(), flush=True)
        print("".join(f"    BROKEN {sentence}\n" for sentence in result.broken), end="", flush=True)
        results.append(result)
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=2))
    return 1 if any(result.broken for result in results) else 0


def _why_not(names: list[str], missing: str) -> str:
    """Why these scenarios cannot be tried; empty where they can."""
    for faults in (set(name.split("+")) for name in names):
        if unknown := faults - {RACE, *SCENARIOS, *REMOTE}:
            return (
                f"No such scenario: {', '.join(sorted(unknown))}. Choose of {', '.join([RACE, *SCENARIOS, *REMOTE])}."
            )
        if faults & set(REMOTE) and missing:
            return f"{', '.join(sorted(faults & set(REMOTE)))}: {missing}."
        if faults & set(REMOTE) and faults - set(REMOTE):
            return (
                f"{'+'.join(sorted(faults))}: some are of remote workers and some are not, and those have other sites."
            )
    return ""


def _results(options: argparse.Namespace, names: list[str], folder: Path) -> Iterator[Result]:
    if RACE in names:
        yield _races(options.races, options.seed)  # while no node could take part
    near = [name for name in names if not _is_remote(name) and name != RACE]
    for kind, chosen in ((Site, near), (Fleet, [name for name in names if _is_remote(name)])):
        if not chosen:
            continue
        site = kind(folder, options.patience)
        try:
            site.up()
            for name in chosen:
                yield _scenario(site, name, options)
        finally:
            site.stop()


def _is_remote(name: str) -> bool:
    return name.partition("+")[0] in REMOTE


def _races(rounds: int, seed: int) -> Result:
    result = Result(RACE)
    for number in range(rounds):
        result.rounds += 1
        try:
            race(seed + number)
        except Broken as error:
            result.broken.append(f"seed {seed + number}: {error}")
    return result


def _scenario(site: Site, name: str, options: argparse.Namespace) -> Result:
    result = Result(name)
    for seed in range(options.seed, options.seed + options.rounds):
        result.rounds += 1
        try:
            _round(site, name, seed, result)
        except Broken as error:
            result.broken.append(f"seed {seed}: {error}")
            _show_log(site)
            _start_anew(site)
    return result


def _round(site: Site, name: str, seed: int, result: Result) -> None:
    """One video: broken, mended, and held against the rules."""
    faults = name.split("+")
    loops = site.loops + site.loops_each * (len(faults) - 1)
    job = site.arrive(name[:100], clip(site, loops))
    tasks.start(job)
    chance = random.Random(f"{name}{seed}")
    this = RemoteRound(site, job, chance) if isinstance(site, Fleet) else Round(site, job, chance)
    for fault in faults:
        this.moment()
        began = time.monotonic()
        if isinstance(this, RemoteRound):
            REMOTE[fault](this)
        else:
            SCENARIOS[fault](this)
        log.info("%s took %.1f s; %d segments are there", fault, time.monotonic() - began, made(job))
    if isinstance(this, RemoteRound):
        this.hurry()
    result.hits += this.hits
    result.recovery += this.recovery
    result.stopped += this.stopped
    if Video.objects.filter(pk=job.video_id).exists():
        _see_the_end(this, result)
        archive.archive(job.video_id, "torture")
        archive.purge(job.video_id)
    else:
        check(site)
        result.deleted += 1


def _see_the_end(this: Round, result: Result) -> None:
    job = this.job
    this.site.wait(lambda: ended(job), "the end of the video")
    check(this.site, job)
    twice, most = made_twice(job), max(1, this.crashes) * longest_piece(job)
    result.made_twice = max(result.made_twice, twice)
    result.attempts = max(result.attempts, job.chunks.aggregate(most=Max("attempt"))["most"] or 0)
    if twice > most:
        raise Broken(f"{twice} s were made twice, and {most} s are allowed")
    result.ready += job.video.status == Video.Status.READY
    result.failed += job.video.status == Video.Status.FAILED
    if job.video.status != Video.Status.READY:
        raise Broken(f"it is not ready but {job.video.status}: {job.video.error_message}")


def clip(site: Site, loops: int) -> Path:
    """A source of which nothing can be copied: pictures and sound are made of it. It repeats itself."""
    path = site.folder / f"{loops}-{type(site).__name__}.mkv"
    if not path.exists():
        loop = site.folder / f"loop-{path.name}"
        tracks = [site.picture, *([site.sound] if site.sound else [])]
        inputs = [part for track in tracks for part in ("-f", "lavfi", "-i", f"{track}:duration={LOOP}")]
        codecs = ("-c:v", "mpeg4", "-q:v", "6", "-g", "50", "-c:a", "flac")
        processes.run(["-y", *inputs, *codecs, str(loop)], timeout=300)
        processes.run(["-y", "-stream_loop", str(loops - 1), "-i", str(loop), "-c", "copy", str(path)], timeout=300)
    return path


def _show_log(site: Site) -> None:
    for log_file in site.logs():
        lines = log_file.read_text(errors="replace").splitlines()
        print("\n".join(f"    {log_file.parent.name}| {line[:300]}" for line in lines[-LOG_LINES:]), flush=True)


def _start_anew(site: Site) -> None:
    """What a broken round left must not break the next."""
    site.stop()
    site.up()
    for video in Video.objects.all():
        archive.archive(video.pk, "torture")
        archive.purge(video.pk)
    time.sleep(1)
