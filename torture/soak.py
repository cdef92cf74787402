"""Half an hour of mixed load, in which each service is killed once: nothing wrong is answered, and nothing grows."""

import argparse
import importlib.util
import json
import os
import shutil
import signal
import statistics
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from django.db import Error, close_old_connections, connection
from redis import RedisError

from torture.load import Load
from torture.rounds import clip
from torture.rules import check, ended
from torture.scenarios import broker
from torture.site import Site, Violation, parent, send, words
from transcoding import tasks
from transcoding.models import TranscodingChunk, TranscodingJob
from vlog.tests.processes import belonging_to

PAGE = os.sysconf("SC_PAGE_SIZE")
INTERVAL = 5  # seconds between two samples
GROWTH = 1.1  # of what is measured, from a sixth of the time on
SPARE = 8  # descriptors and connections that may come and go
LOOPS = 1  # of the clip: nine seconds of video
# Which service is killed after which share of the time. The web server comes before the first measurement, because its
# processes are those that must not grow; then nothing is killed until half of the time is over.
KILLS = {"web": 0.05, "redis": 0.5, "postgres": 0.58, "tasks": 0.66, "encode": 0.72, "transcribe": 0.78, "beat": 0.84}
EMBEDDED = ("redis", "postgres")
ALARM = 60  # seconds after a service was away in which an alert about it may come


@dataclass
class Sample:
    """The installation at one moment: seconds since the start, bytes of a web process, numbers of all else."""

    second: float
    memory: int
    descriptors: int
    connections: int
    messages: int
    chunks: int


def run(options: argparse.Namespace, folder: Path) -> int:
    """Use a new site for so many minutes, print the figures, and return the exit code: 1 if a rule was broken."""
    programs = "web,tasks,encode,beat"
    if model := _model(folder):
        os.environ["VLOG_WHISPER_MODEL"], programs = str(model), "web,tasks,encode,transcribe,beat"
    site, inbox = Site(folder, options.patience, programs=programs), Inbox()
    os.environ.update(VLOG_PLAYBACK_LIMIT="0", VLOG_SEARCH_LIMIT="0", VLOG_ALERT_WEBHOOK=inbox.address)
    load = Load(site, clip(site, LOOPS))
    try:
        site.up()
        job = site.add_video("First", load.clip)  # so that there is a video to watch from the beginning
        tasks.start(job)
        site.wait(lambda: ended(job), "the first video")
        kills = {name: share for name, share in KILLS.items() if name in {*EMBEDDED, *programs.split(",")}}
        samples = list(_soak(site, load, 60 * options.soak, kills))
        broken = [*load.wrong, *inbox.false_alarms(load.times_away), *_settled(site)]
    finally:
        site.stop()
        inbox.shutdown()
    grown = list(_growth(samples, 10 * options.soak))
    _print(samples, load, inbox, [*broken, *grown])
    if options.json:
        facts = {"samples": [asdict(each) for each in samples], "asked": load.asked, "looks": load.looks}
        facts |= {"killed": [name for name, *_ in load.times_away], "alerts": [text for _, text in inbox.messages]}
        options.json.write_text(json.dumps({**facts, "broken": broken, "grown": grown}, indent=2))
    return 1 if broken or grown else 0


class Inbox(ThreadingHTTPServer):
    """A webhook that keeps the alerts of the site, each with the moment at which it came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _InboxHandler)
        self.messages: list[tuple[float, str]] = []
        self.address = f"http://127.0.0.1:{self.server_address[1]}/"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def false_alarms(self, away: list[tuple[str, float, float]]) -> Iterator[str]:
        """Yield the alerts that came while no service was away, and none had been shortly before."""
        for moment, text in self.messages:
            if not any(since <= moment <= until + ALARM for _, since, until in away):
                yield f"false alarm: {text}"


class _InboxHandler(BaseHTTPRequestHandler):
    server: Inbox

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        self.server.messages.append((time.monotonic(), text))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


def _model(folder: Path) -> Path | None:
    """Return the small Whisper of the tests; None, and captions are left out, where what teaches it is missing."""
    if importlib.util.find_spec("whisper") is None or shutil.which("espeak-ng") is None:
        print("Captions are left out: they need Whisper and espeak-ng.")
        return None
    speech = importlib.import_module("transcoding.tests.speech")  # it imports PyTorch
    weights: Path = speech.weights(folder / "speech")
    return weights


def _soak(site: Site, load: Load, seconds: float, kills: dict[str, float]) -> Iterator[Sample]:
    """Yield samples while the load runs and each of these services is killed once."""
    began, waiting = time.monotonic(), dict(kills)
    threads = load.start()
    try:
        while (now := time.monotonic() - began) < seconds or waiting:
            for name in [name for name, share in waiting.items() if now >= share * seconds]:
                del waiting[name]
                _kill(site, load, name)
            if (sample := _sample(site, now)) is not None:
                yield sample
            for thread in threads:
                if not thread.is_alive():
                    load.note(f"the thread {thread.name} has ended")
            time.sleep(INTERVAL)
    finally:
        load.ended.set()
        for thread in threads:
            thread.join()


def _kill(site: Site, load: Load, name: str) -> None:
    """Kill a service, and wait until it runs again and the site answers."""
    site.wait(lambda: bool(_processes(site, name)), f"a process of {name}")
    pids = _processes(site, name)
    began = load.away = time.monotonic()
    send(pids, signal.SIGKILL)
    site.wait(lambda: bool(set(_processes(site, name)) - set(pids)), f"the restart of {name}")
    site.wait(site.answers, f"the pages after the end of {name}")
    until = time.monotonic()
    print(f"{name} was killed, and away for {until - began:.1f} s", flush=True)
    time.sleep(INTERVAL)  # for the answers that were on their way
    load.away = 0.0
    load.times_away.append((name, began, until))


def _processes(site: Site, name: str) -> list[int]:
    match name:
        case "web":
            return site.web()
        case "redis":
            return list(filter(None, [site.service("valkey-server")]))
        case "postgres":
            return list(filter(None, [site.service("postgres -D")]))
        case "beat":
            return [pid for pid in belonging_to(site.folder) if "-A vlog beat" in words(pid)]
        case _:
            return list(filter(None, [site.node(name)]))


def _sample(site: Site, second: float) -> Sample | None:
    """Return what is measured now; None where a service is away."""
    web = site.web()
    workers = [pid for pid in web if parent(pid) in web]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            connections = cursor.fetchone()[0]
        client: Any = broker()
        messages = sum(client.llen(queue) for queue in ("tasks", "encode", "transcribe"))
        chunks = TranscodingChunk.objects.open().count()
    except (Error, RedisError):
        close_old_connections()
        return None
    memory = [size for pid in workers if (size := _resident(pid))]
    processes = [pid for pid in belonging_to(site.folder) if "ffmpeg" not in words(pid)]
    descriptors = sum(_descriptors(pid) for pid in processes)
    return Sample(second, round(statistics.mean(memory)) if memory else 0, descriptors, connections, messages, chunks)


def _growth(samples: list[Sample], baseline: float) -> Iterator[str]:
    """Yield what is larger in the last sixth of the time than around the baseline, in seconds."""
    end = samples[-1].second
    early = [each for each in samples if baseline <= each.second <= 1.5 * baseline and each.memory]
    late = [each for each in samples if each.second >= end - 0.5 * baseline and each.memory]
    if not early or not late:
        yield "there are too few samples to tell what grew"
        return
    for name, spare in (("memory", 0), ("descriptors", SPARE), ("connections", SPARE)):
        before, after = (statistics.median(getattr(each, name) for each in part) for part in (early, late))
        if after > GROWTH * before + spare:
            yield f"{name} grew from {before:.0f} to {after:.0f}"


def _settled(site: Site) -> Iterator[str]:
    """Yield what is left after the load has ended: every video is made, and the queues are empty."""
    try:
        for job in TranscodingJob.objects.filter(video__deleted_at=None).select_related("video"):
            site.wait(lambda job=job: ended(job), f"the end of «{job.video}»")  # type: ignore[misc]
            check(site, job)
            if job.video.status != "ready":
                yield f"«{job.video}» is {job.video.status}: {job.video.error_message}"
        site.wait(lambda: not TranscodingChunk.objects.not_archived().open().exists(), "the last chunks")
    except Violation as error:
        yield str(error)


def _print(samples: list[Sample], load: Load, inbox: Inbox, broken: list[str]) -> None:
    head = f"{'second':>8} {'MiB of a web process':>21} {'descriptors':>12} {'connections':>12}"
    print(f"{head} {'messages':>9} {'chunks':>7}")
    for each in samples[:: max(1, len(samples) // 12)]:
        numbers = f"{each.descriptors:>12} {each.connections:>12} {each.messages:>9} {each.chunks:>7}"
        print(f"{each.second:>8.0f} {each.memory / (1 << 20):>21.1f} {numbers}")
    print("answers: " + ", ".join(f"{kind} {number}" for kind, number in sorted(load.asked.items())))
    print(f"looks of the doctor: {load.looks}; alerts: {len(inbox.messages)}")
    print("".join(f"    VIOLATION {sentence}\n" for sentence in broken), end="", flush=True)


def _resident(pid: int) -> int:
    try:
        return PAGE * int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0


def _descriptors(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - names only
    except OSError:
        return 0
