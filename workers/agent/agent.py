"""The remote worker: `python -m workers.agent https://site`. It needs Python and ffmpeg, but no Django.

It claims chunks from the site, encodes them and delivers their segments. docs/workers.md is the manual.
"""

import argparse
import hashlib
import importlib.util
import logging
import os
import platform
import random
import re
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from transcoding.engine.codecs.h264 import ENCODERS, SOFTWARE
from transcoding.engine.contract import PROTOCOL, ShuttingDown
from transcoding.engine.ffmpeg import encoders, processes
from transcoding.engine.ffmpeg.encoders import AUTO
from transcoding.engine.plan.plan import KNOWN_FORMATS
from transcoding.engine.source.loopback import SourceServer
from transcoding.engine.speech.transcribe import KIND, PART_KIND, Whisper, transcribe_one
from transcoding.engine.work import work_one
from workers.agent.client import RemoteQueue
from workers.agent.connection import Connection, Disabled, Refused, Rejected, Site, WrongAddress

log = logging.getLogger("agent")

KINDS = ("video", "audio")
TRANSCRIBED = (KIND, PART_KIND)  # sites of earlier releases know the first one only
KEY_FILE = "VLOG_WORKER_KEY_FILE"
KEY = re.compile(r"[\w-]{43}", re.ASCII)
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # a title must not move the cursor of the terminal
DISABLED_SECONDS = 60  # between two heartbeats of a disabled worker
SHUTDOWN_SECONDS = 9  # that the agent takes to end at most
TICK = 0.2  # seconds between two checks whether to stop
FFMPEG_TIMEOUT = 60  # seconds


class UsageError(Exception):
    """The command line or the environment is invalid; the message says why."""


class Agent:
    """Several workers side by side, in threads, because the encoders are processes of their own."""

    def __init__(self, site: Site, options: argparse.Namespace, stop: threading.Event) -> None:
        self.site, self.options, self.stop = site, options, stop
        self.code = 0
        sources = SourceServer()
        self.queues = [RemoteQueue(site, sources, stop) for _ in range(options.concurrency)]
        self._threads = [threading.Thread(target=self._run_worker, args=(queue,), daemon=True) for queue in self.queues]
        self._idle: set[RemoteQueue] = set()
        self._transcribed: tuple[str, ...] = TRANSCRIBED[:1]
        self._last_logged = ""
        self._lock = threading.Lock()

    def run(self, capabilities: dict[str, Any]) -> int:
        """Work until the agent is stopped or refused; return the exit code."""
        registration = threading.Thread(target=self._register, args=(capabilities,), daemon=True)
        registration.start()
        self._join([registration])
        if not self.stop.is_set():
            for thread in self._threads:
                thread.start()
            self._join(self._threads)
        return self.code

    def _join(self, threads: Sequence[threading.Thread]) -> None:
        """Wait until all threads have ended, but once the agent is stopped only for some seconds."""
        while any(thread.is_alive() for thread in threads) and not self.stop.wait(TICK):
            pass
        for queue in self.queues if self.stop.is_set() else ():
            queue.interrupt()
        end = time.monotonic() + SHUTDOWN_SECONDS
        for thread in threads:
            thread.join(max(0, end - time.monotonic()) if self.stop.is_set() else None)

    def _register(self, capabilities: dict[str, Any]) -> None:
        """Send the first heartbeat, which says what this machine is and can do."""
        metadata = {"host": platform.node(), "system": platform.platform(), "python": platform.python_version()}
        message = {"capabilities": capabilities, "metadata": metadata}
        while not self.stop.is_set():
            try:
                with closing(Connection(self.site)) as connection:
                    answer = connection.post("heartbeat", message, self._check_stopped)
                log.info("%s knows this worker as %s", self.site.address, answer.get("worker"))
                self._transcribed = tuple(kind for kind in TRANSCRIBED if kind in answer.get("kinds", TRANSCRIBED[:1]))
                return
            except ShuttingDown:
                return
            except Disabled as error:
                self._wait_disabled(error)
            except (Refused, Rejected) as error:
                self._end(error)

    def _run_worker(self, queue: RemoteQueue) -> None:
        """Run one worker. If it crashes, all others stop too, so that the failure does not go unnoticed."""
        crashed = True
        try:
            while not self.stop.is_set():
                self._turn(queue)
                if self.options.once:
                    break
            crashed = False
        except Refused as error:
            self._end(error)
        finally:
            queue.close()
            if crashed:
                self.code = 1
                self.stop.set()

    def _turn(self, queue: RemoteQueue) -> None:
        """Make one chunk, or wait as long as the site demands."""
        try:
            worked = self._work(queue)
        except Disabled as error:
            self._wait_disabled(error)
        except Rejected as error:
            log.error("%s", error)
            self._wait(queue.again_in)
        except ShuttingDown:
            pass
        else:
            self._log_idle(queue, worked)
            if not worked:
                self._wait(queue.again_in)

    def _work(self, queue: RemoteQueue) -> bool:
        options = self.options
        if options.kinds and work_one(queue, options.kinds, self.stop, options.threads):
            return True
        return options.whisper is not None and transcribe_one(
            queue, options.whisper, self.stop, options.threads, kinds=self._transcribed
        )

    def _log_idle(self, queue: RemoteQueue, worked: bool) -> None:
        """Log once that all workers are idle, and why."""
        with self._lock:
            (self._idle.discard if worked else self._idle.add)(queue)
            reason = queue.held_back
            line = f"the site gives this worker no new work: {reason}" if reason else "no work is pending"
            if worked:
                self._last_logged = ""
            elif len(self._idle) == len(self.queues) and line != self._last_logged:
                self._last_logged = line
                log.info("%s", line)

    def _wait_disabled(self, error: Disabled) -> None:
        if self.options.once:
            self._end(error)
        with self._lock:
            if self._last_logged != str(error) and not self.stop.is_set():
                log.warning("%s; retrying every minute", str(error).rstrip("."))
            self._last_logged = str(error)
        self._wait(DISABLED_SECONDS)

    def _wait(self, seconds: float) -> None:
        if self.options.once:
            return
        self.stop.wait(seconds * random.uniform(0.8, 1.2))  # noqa: S311 - spreads the claims of many agents

    def _end(self, error: Exception) -> None:
        if not self.code:
            log.error("%s", error)
        self.code = 1
        self.stop.set()

    def _check_stopped(self) -> None:
        if self.stop.is_set():
            raise ShuttingDown


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the agent; return 0, 1 if it cannot work, 2 for wrong usage."""
    _log_to_stderr()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, partial(_request_stop, stop))
    try:
        options = _options(arguments)
        site = Site(options.site, _key(options.key_file))
    except (UsageError, WrongAddress) as error:
        log.error("%s", error)
        return 2
    if site.exposes_key():
        log.warning("%s is not encrypted: anyone on the network path can read the key. Use https.", site.address)
    try:
        capabilities = _capabilities(options)
    except processes.FfmpegError as error:
        log.error("%s", error)
        return 1
    return Agent(site, options, stop).run(capabilities)


def _request_stop(stop: threading.Event, number: int, frame: FrameType | None) -> None:
    if stop.is_set() and number == signal.SIGINT:
        os._exit(128 + number)  # encoders end with their parent
    stop.set()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="vlog-agent", description="Encode and transcribe videos for a VLog site.", allow_abbrev=False
    )
    add = parser.add_argument
    add("site", help="address of the site, such as https://video.example.org")
    add("--key-file", type=Path, help="file with this worker's key (default: the key is in VLOG_WORKER_KEY)")
    add("--once", action="store_true", help="make one chunk, if one is pending, and exit")
    add("--concurrency", type=_count, default=1, help="number of chunks made at the same time (default: 1)")
    add("--threads", type=_count, default=0, help="threads of each encoder (default: one per core)")
    add("--kinds", type=_kinds, default=KINDS, help="video, audio, video,audio (default), or none: captions only")
    add("--encoder", choices=(AUTO, *ENCODERS), default=AUTO, help="video encoder (default: the best that works)")
    add("--whisper", metavar="MODEL", help="also transcribe, with this Whisper model or checkpoint")
    options = parser.parse_args(arguments)
    options.whisper = _whisper(options.whisper) if options.whisper and options.whisper != "none" else None
    if not options.kinds and options.whisper is None:
        raise UsageError("--kinds none leaves no work for this worker: choose other kinds, or a model with --whisper.")
    return options


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1024")
    return int(text)


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(dict.fromkeys(text.split(","))) if text != "none" else ()
    if not set(kinds) <= set(KINDS):
        raise argparse.ArgumentTypeError(f"{text!r} is not {', '.join(KINDS)}, both with a comma between, or none")
    return kinds


def _whisper(model: str) -> Whisper:
    """Return the model. Raises UsageError if it does not work here, so that no video fails because of this machine."""
    if importlib.util.find_spec("whisper") is None:
        raise UsageError("--whisper needs the package openai-whisper in this Python: pip install openai-whisper")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    whisper = Whisper(model, str(Path(cache) / "whisper"))
    if reason := whisper.why_not():
        raise UsageError(f"--whisper: {reason}")
    return whisper


def _key(file: Path | None) -> str:
    """Return the worker's key and remove it from the environment of child processes. Raises UsageError."""
    key = os.environ.pop("VLOG_WORKER_KEY", "")
    name = os.environ.get(KEY_FILE)
    path = file or (Path(name) if name else None)
    if path is not None:
        try:
            key = path.read_text(encoding="utf-8")
            if path.stat().st_mode & 0o006:
                log.warning("other users of this machine can read %s: run chmod 600 on it", path)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", "it is not text")
            raise UsageError(f"The key file {path} cannot be read: {reason}.") from error
    if not key:
        raise UsageError("There is no key: set VLOG_WORKER_KEY, or name a file with --key-file.")
    if not KEY.fullmatch(key.strip()):
        raise UsageError(
            "The key is invalid: a key consists of 43 letters, digits, - and _. `manage.py worker create` makes one."
        )
    return key.strip()


def _capabilities(options: argparse.Namespace) -> dict[str, Any]:
    """Return what this machine can do, by trial. Raises FfmpegError if it cannot encode any video."""
    version = processes.version()
    reason = encoders.why_not(SOFTWARE)
    if reason or b"prescale" not in processes.run(["-h", "bsf=setts"], timeout=FFMPEG_TIMEOUT):
        raise processes.FfmpegError(
            f"{processes.executable()} ({version}) is too old, or was built without libx264 "
            f"({reason or 'no prescale'}): install another one and name it in VLOG_FFMPEG"
        )
    facts = {
        "encoders": encoders.usable(options.encoder),
        "cores": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "ffmpeg": version,
        "agent": str(PROTOCOL),
        "release": _release(),
        "plan_formats": list(KNOWN_FORMATS),
    }
    return facts if options.whisper is None else {**facts, "whisper": options.whisper.model, "speech_parts": True}


def _release() -> str:
    """Return eight digits of the SHA-256 of agent.pyz, or `sources` for an agent that runs from a checkout."""
    archive = getattr(__spec__.loader, "archive", "")
    return hashlib.sha256(Path(archive).read_bytes()).hexdigest()[:8] if archive else "sources"


class _LineFormatter(logging.Formatter):
    """Formats a record without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        return CONTROL.sub("?", super().format(record))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_LineFormatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
