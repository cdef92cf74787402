"""The agent, a remote worker: `python -m workers.agent https://site`. It needs Python and ffmpeg, and no Django.

It asks the site for work, makes it, and sends it back; docs/workers.md is for those who run it.
"""

import argparse
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
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from transcoding.engine.codecs.h264 import ENCODERS, SOFTWARE
from transcoding.engine.contract import PROTOCOL, ShuttingDown
from transcoding.engine.ffmpeg import encoders, processes
from transcoding.engine.ffmpeg.encoders import AUTO
from transcoding.engine.source.loopback import SourceServer
from transcoding.engine.speech.transcribe import Whisper, transcribe_one
from transcoding.engine.work import work_one
from workers.agent.client import RemoteQueue
from workers.agent.connection import Connection, Disabled, Refused, Rejected, Site, WrongAddress

log = logging.getLogger("agent")

KINDS = ("video", "audio")
KEY_FILE = "VLOG_WORKER_KEY_FILE"
KEY = re.compile(r"[\w-]{43}", re.ASCII)
NOT_TEXT = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # a title must not write elsewhere on the terminal
DISABLED_SECONDS = 60  # until it asks again
ENDING = 9  # seconds that the agent takes to end at most
TICK = 0.2  # seconds between looks at whether to end
PATIENCE = 60  # seconds for ffmpeg to tell about itself


class WrongUse(Exception):
    """What was given on the command line or in the environment cannot be used; the message says why."""


class Agent:
    """Some workers side by side, in threads: the encoders are processes."""

    def __init__(self, site: Site, options: argparse.Namespace, stop: threading.Event) -> None:
        self.site, self.options, self.stop = site, options, stop
        self.code = 0
        sources = SourceServer()
        self.queues = [RemoteQueue(site, sources, stop) for _ in range(options.concurrency)]
        self._threads = [threading.Thread(target=self._guard, args=(queue,), daemon=True) for queue in self.queues]
        self._idle: set[RemoteQueue] = set()
        self._told = ""
        self._lock = threading.Lock()

    def run(self, capabilities: dict[str, Any]) -> int:
        """Work until it is stopped, or refused; gives the exit code."""
        greeting = threading.Thread(target=self._greet, args=(capabilities,), daemon=True)
        greeting.start()
        self._join([greeting])
        if not self.stop.is_set():
            for thread in self._threads:
                thread.start()
            self._join(self._threads)
        return self.code

    def _join(self, threads: Sequence[threading.Thread]) -> None:
        """Wait for all to end; once it is stopped, only for some seconds."""
        while any(thread.is_alive() for thread in threads) and not self.stop.wait(TICK):
            pass
        for queue in self.queues if self.stop.is_set() else ():
            queue.cut()
        end = time.monotonic() + ENDING
        for thread in threads:
            thread.join(max(0, end - time.monotonic()) if self.stop.is_set() else None)

    def _greet(self, capabilities: dict[str, Any]) -> None:
        metadata = {"host": platform.node(), "system": platform.platform(), "python": platform.python_version()}
        told = {"capabilities": capabilities, "metadata": metadata}
        while not self.stop.is_set():
            try:
                answer = Connection(self.site).tell("heartbeat", told, self._unless_stopped)
                log.info("%s knows this worker as %s", self.site.address, answer.get("worker"))
                return
            except ShuttingDown:
                return
            except Disabled as error:
                self._wait_disabled(error)
            except (Refused, Rejected) as error:
                self._end(error)

    def _guard(self, queue: RemoteQueue) -> None:
        """One worker; whatever breaks it ends the others too, because nobody would notice that it is missing."""
        broken = True
        try:
            while not self.stop.is_set():
                self._turn(queue)
                if self.options.once:
                    break
            broken = False
        except Refused as error:
            self._end(error)
        finally:
            queue.let_go()
            if broken:
                self.code = 1
                self.stop.set()

    def _turn(self, queue: RemoteQueue) -> None:
        """Do a piece of work, or wait as long as the site says."""
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
            self._note(queue, worked)
            if not worked:
                self._wait(queue.again_in)

    def _work(self, queue: RemoteQueue) -> bool:
        options = self.options
        if options.kinds and work_one(queue, options.kinds, self.stop, options.threads):
            return True
        return options.whisper is not None and transcribe_one(queue, options.whisper, self.stop, options.threads)

    def _note(self, queue: RemoteQueue, worked: bool) -> None:
        """Say once that there is nothing to do for anybody, and why."""
        with self._lock:
            (self._idle.discard if worked else self._idle.add)(queue)
            said = f"held back: {queue.held_back}" if queue.held_back else "nothing to do"
            if worked:
                self._told = ""
            elif len(self._idle) == len(self.queues) and said != self._told:
                self._told = said
                log.info("%s", said)

    def _wait_disabled(self, error: Disabled) -> None:
        if self.options.once:
            self._end(error)
        with self._lock:
            if self._told != str(error) and not self.stop.is_set():
                log.warning("%s; asking again every minute", str(error).rstrip("."))
            self._told = str(error)
        self._wait(DISABLED_SECONDS)

    def _wait(self, seconds: float) -> None:
        if self.options.once:
            return
        self.stop.wait(seconds * random.uniform(0.8, 1.2))  # noqa: S311 - so that not all agents ask at once

    def _end(self, error: Exception) -> None:
        if not self.code:
            log.error("%s", error)
        self.code = 1
        self.stop.set()

    def _unless_stopped(self) -> None:
        if self.stop.is_set():
            raise ShuttingDown


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0, 1 where it cannot work, 2 for wrong use."""
    _log_to_stderr()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, partial(_ask_to_stop, stop))
    try:
        options = _options(arguments)
        site = Site(options.site, _key(options.key_file))
    except (WrongUse, WrongAddress) as error:
        log.error("%s", error)
        return 2
    if site.is_open_to_listeners():
        log.warning("%s is not encrypted: whoever listens on the way has the key. Use https.", site.address)
    try:
        capabilities = _capabilities(options)
    except processes.FfmpegError as error:
        log.error("%s", error)
        return 1
    return Agent(site, options, stop).run(capabilities)


def _ask_to_stop(stop: threading.Event, number: int, frame: FrameType | None) -> None:
    if stop.is_set() and number == signal.SIGINT:
        os._exit(128 + number)  # encoders die with their parent
    stop.set()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="vlog-agent", description="Makes videos for a VLog site.", allow_abbrev=False)
    add = parser.add_argument
    add("site", help="its address, such as https://video.example.org")
    add("--key-file", type=Path, help="a file with this worker's key; without it, VLOG_WORKER_KEY has the key")
    add("--once", action="store_true", help="make one piece of work, if there is one, and end")
    add("--concurrency", type=_count, default=1, help="how many pieces are made at a time (default: 1)")
    add("--threads", type=_count, default=0, help="of each encoder (default: one for each core)")
    add("--kinds", type=_kinds, default=KINDS, help="video,audio (default), one of them, or none: captions only")
    add("--encoder", choices=(AUTO, *ENCODERS), default=AUTO, help="of pictures (default: the best that works)")
    add("--whisper", metavar="MODEL", help="makes captions, too, with this model or checkpoint of Whisper's")
    options = parser.parse_args(arguments)
    options.whisper = _whisper(options.whisper) if options.whisper and options.whisper != "none" else None
    if not options.kinds and options.whisper is None:
        raise WrongUse("There is nothing that it may do: name --kinds, or a model for --whisper.")
    return options


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(dict.fromkeys(text.split(","))) if text != "none" else ()
    if not set(kinds) <= set(KINDS):
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(KINDS)}, both, or none")
    return kinds


def _whisper(model: str) -> Whisper:
    """Raises WrongUse where it does not work here: videos must not fail because of this machine."""
    if importlib.util.find_spec("whisper") is None:
        raise WrongUse("--whisper needs the package openai-whisper in this Python: pip install openai-whisper")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    whisper = Whisper(model, str(Path(cache) / "whisper"))
    if reason := whisper.why_not():
        raise WrongUse(f"--whisper: {reason}")
    return whisper


def _key(file: Path | None) -> str:
    """The worker's key; no process that the agent starts inherits it. Raises WrongUse."""
    key = os.environ.pop("VLOG_WORKER_KEY", "")
    name = os.environ.get(KEY_FILE)
    named = file or (Path(name) if name else None)
    if named is not None:
        try:
            key = named.read_text(encoding="utf-8")
            if named.stat().st_mode & 0o006:
                log.warning("others on this machine may read %s: chmod 600 it", named)
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", "it is not text")
            raise WrongUse(f"The key's file {named} cannot be read: {reason}.") from error
    if not key:
        raise WrongUse("No key: put it into VLOG_WORKER_KEY, or into a file that --key-file names.")
    if not KEY.fullmatch(key.strip()):
        raise WrongUse("That is not a key: it has 43 letters, digits, - and _. `manage.py worker create` makes one.")
    return key.strip()


def _capabilities(options: argparse.Namespace) -> dict[str, Any]:
    """What this machine can do, tried out. Raises FfmpegError where it can make no video at all."""
    version = processes.version()
    reason = encoders.why_not(SOFTWARE)
    if reason or b"prescale" not in processes.run(["-h", "bsf=setts"], timeout=PATIENCE):
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
    }
    return facts if options.whisper is None else {**facts, "whisper": options.whisper.model}


class _Line(logging.Formatter):
    """One line for each thing that happens, with the time of day."""

    def format(self, record: logging.LogRecord) -> str:
        return NOT_TEXT.sub("?", super().format(record))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Line("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
