"""Rounds of the scenarios on one site, and the table of their results."""

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
from torture.rules import check, ended, longest_chunk, made_twice
from torture.scenarios import SCENARIOS, Round
from torture.site import Site, Violation, segment_count
from transcoding import tasks
from transcoding.engine.ffmpeg import processes
from videos import archive
from videos.models import Video

log = logging.getLogger(__name__)

RACE = "last-chunk"
LOOP = 9  # seconds
LOG_LINES = 60


@dataclass
class Result:
    """The result of one scenario, or of several in one video (`a+b`).

    hits: faults that struck while a chunk was running; made_twice: seconds of video, the maximum of all rounds;
    recovery and stopped: seconds of real time; broken: the rules that were violated.
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
    f" {'twice, s':>9} {'attempts':>9} {'recovery, s':>13} {'stops, s':>13}"
)


def run(options: argparse.Namespace, folder: Path) -> int:
    """Run the chosen scenarios and return the exit code."""
    missing = network.why_not()
    names = options.scenarios or [RACE, *SCENARIOS, *([] if missing else REMOTE)]
    if reason := _why_not(names, missing):
        print(reason)
        return 2
    if missing and not options.scenarios:
        print(f"Scenarios of remote workers are skipped: {missing}.")
    print(f"seed {options.seed}\n{HEAD}", flush=True)
    results = []
    for result in _results(options, names, folder):
        print(result.line(), flush=True)
        print("".join(f"    VIOLATION {sentence}\n" for sentence in result.broken), end="", flush=True)
        results.append(result)
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=2))
    return 1 if any(result.broken for result in results) else 0


def _why_not(names: list[str], missing: str) -> str:
    """Return why these scenarios cannot be run; empty if they can."""
    for faults in (set(name.split("+")) for name in names):
        if unknown := faults - {RACE, *SCENARIOS, *REMOTE}:
            return (
                f"Unknown scenario: {', '.join(sorted(unknown))}. Choose from {', '.join([RACE, *SCENARIOS, *REMOTE])}."
            )
        if faults & set(REMOTE) and missing:
            return f"{', '.join(sorted(faults & set(REMOTE)))}: {missing}."
        if faults & set(REMOTE) and faults - set(REMOTE):
            return f"{'+'.join(sorted(faults))}: scenarios of remote workers and others need different sites."
    return ""


def _results(options: argparse.Namespace, names: list[str], folder: Path) -> Iterator[Result]:
    if RACE in names:
        yield _races(options.races, options.seed)  # before any node runs that could claim the chunks
    local = [name for name in names if not _is_remote(name) and name != RACE]
    for kind, chosen in ((Site, local), (Fleet, [name for name in names if _is_remote(name)])):
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
        except Violation as error:
            result.broken.append(f"seed {seed + number}: {error}")
    return result


def _scenario(site: Site, name: str, options: argparse.Namespace) -> Result:
    result = Result(name)
    for seed in range(options.seed, options.seed + options.rounds):
        result.rounds += 1
        try:
            _round(site, name, seed, result)
        except Violation as error:
            result.broken.append(f"seed {seed}: {error}")
            _show_log(site)
            _reset(site)
    return result


def _round(site: Site, name: str, seed: int, result: Result) -> None:
    """Make one video while the faults happen, and check the rules."""
    faults = name.split("+")
    loops = site.loops + site.loops_each * (len(faults) - 1)
    job = site.add_video(name[:100], clip(site, loops))
    tasks.start(job)
    chance = random.Random(f"{name}{seed}")
    current = RemoteRound(site, job, chance) if isinstance(site, Fleet) else Round(site, job, chance)
    for fault in faults:
        current.wait_for_moment()
        began = time.monotonic()
        if isinstance(current, RemoteRound):
            REMOTE[fault](current)
        else:
            SCENARIOS[fault](current)
        log.info("%s took %.1f s; %d segments exist", fault, time.monotonic() - began, segment_count(job))
    if isinstance(current, RemoteRound):
        current.remove_limits()
    result.hits += current.hits
    result.recovery += current.recovery
    result.stopped += current.stopped
    if Video.objects.filter(pk=job.video_id).exists():
        _check_end(current, result)
        archive.archive(job.video_id, "torture")
        archive.purge(job.video_id)
    else:
        check(site)
        result.deleted += 1


def _check_end(current: Round, result: Result) -> None:
    job = current.job
    current.site.wait(lambda: ended(job), "the end of the video")
    check(current.site, job)
    twice, limit = made_twice(job), max(1, current.crashes) * longest_chunk(job)
    result.made_twice = max(result.made_twice, twice)
    result.attempts = max(result.attempts, job.chunks.aggregate(most=Max("attempt"))["most"] or 0)
    if twice > limit:
        raise Violation(f"{twice} s were made twice, but only {limit} s are allowed")
    result.ready += job.video.status == Video.Status.READY
    result.failed += job.video.status == Video.Status.FAILED
    if job.video.status != Video.Status.READY:
        raise Violation(f"the video is {job.video.status}, not ready: {job.video.error_message}")


def clip(site: Site, loops: int) -> Path:
    """Return a looped source whose video and audio must both be encoded."""
    path = site.folder / f"{loops}-{type(site).__name__}.mkv"
    if not path.exists():
        loop = site.folder / f"loop-{path.name}"
        tracks = [site.video, *([site.audio] if site.audio else [])]
        inputs = [part for track in tracks for part in ("-f", "lavfi", "-i", f"{track}:duration={LOOP}")]
        codecs = ("-c:v", "mpeg4", "-q:v", "6", "-g", "50", "-c:a", "flac")
        processes.run(["-y", *inputs, *codecs, str(loop)], timeout=300, folder=site.folder)
        processes.run(
            ["-y", "-stream_loop", str(loops - 1), "-i", str(loop), "-c", "copy", str(path)],
            timeout=300,
            folder=site.folder,
        )
    return path


def _show_log(site: Site) -> None:
    for log_file in site.logs():
        lines = log_file.read_text(errors="replace").splitlines()
        print("\n".join(f"    {log_file.parent.name}| {line[:300]}" for line in lines[-LOG_LINES:]), flush=True)


def _reset(site: Site) -> None:
    """Restart the site and remove all videos, so that a violation does not affect the next round."""
    site.stop()
    site.up()
    for video in Video.objects.all():
        archive.archive(video.pk, "torture")
        archive.purge(video.pk)
    time.sleep(1)
