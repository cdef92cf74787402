"""Runs the processes of one machine under one supervisor in the foreground."""

import contextlib
import http.client
import logging
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor import loggers
from supervisor.medusa.asyncore_25 import ExitNow
from supervisor.options import ServerOptions
from supervisor.supervisord import Supervisor

from vlog.addresses import bracketed
from vlog.environment import BASE_DIR

# Requests, and the start of the site, have priority over work in the background.
BACKGROUND = 5

logger = logging.getLogger("vlog.up")


@dataclass(frozen=True)
class Program:
    name: str
    arguments: tuple[str, ...]
    environment: tuple[str, ...] = ()
    # Programs of a higher rank are stopped first, those of one rank at the same time.
    rank: int = 20
    stop_group: bool = False
    once: bool = False
    nice: int = 0


def celery(name: str, *arguments: str) -> Program:
    command = ("-m", "celery", "--quiet", "-A", "vlog", *arguments)
    # A worker waits for its running task, so its pool process must get the signal, too.
    # Whether root runs it is the operator's decision, so Celery's warning about that is turned off.
    quiet = ("PYTHONWARNINGS=ignore:::celery.platforms",)
    return Program(name, command, environment=quiet, stop_group=True, nice=BACKGROUND)


def worker(name: str, *, concurrency: int) -> Program:
    flags = ("--without-gossip", "--without-mingle", "--loglevel", "INFO")
    node = ("worker", "-Q", name, "-n", f"{name}@%h", "--concurrency", str(concurrency))
    return celery(name, *node, "--prefetch-multiplier", "1", *flags)


def programs(bind: str) -> dict[str, Program]:
    return {
        "web": Program("web", ("-m", "gunicorn", "-c", "python:vlog.webserver", "--bind", bind, "vlog.wsgi")),
        "tasks": worker("tasks", concurrency=2),
        "encode": worker("encode", concurrency=1),
        "transcribe": worker("transcribe", concurrency=1),
        "beat": celery("beat", "beat"),
    }


SAMPLE = Program("sample", ("manage.py", "welcome", "--only", "sample"), stop_group=True, once=True, nice=BACKGROUND)
KEEPER_WATCH = Program("keeper", ("-m", "vlog.embedded", "--standby"), rank=10)


def configuration(chosen: Iterable[Program], pid_file: Path) -> str:
    chosen = list(chosen)
    head = {"nodaemon": "true", "pidfile": pid_file, "logfile": os.devnull, "logfile_maxbytes": 0, "nocleanup": "true"}
    if os.geteuid() == 0:
        head["user"] = "root"  # otherwise supervisor warns that no user is set
    sections = [_section("supervisord", head)]
    for rank in sorted({program.rank for program in chosen}):
        names = ",".join(program.name for program in chosen if program.rank == rank)
        sections.append(_section(f"group:rank{rank}", {"programs": names, "priority": rank}))
    return "\n".join([*sections, *(_section(f"program:{program.name}", _options(program)) for program in chosen)])


def _options(program: Program) -> dict[str, object]:
    # The kernel ends the program when the supervisor is killed.
    guard = [shutil.which("setpriv") or "setpriv", "--pdeathsig", "TERM", "--"]
    nice = ["nice", "-n", str(program.nice)] if program.nice else []
    return {
        "command": shlex.join([*guard, *nice, sys.executable, *program.arguments]),
        "directory": BASE_DIR,
        "environment": ",".join((f"VLOG_PROCESS={program.name}", *program.environment)),
        "autorestart": "false" if program.once else "true",
        "startsecs": 0 if program.once else 2,
        "startretries": 100_000,  # the delay grows by one second each time
        # On a busy machine a node needs that long to release its chunks; an idle one ends within a second.
        "stopwaitsecs": 60,
        "stopasgroup": str(program.stop_group).lower(),
        "killasgroup": "true",
        "stdout_logfile": "NONE",
        "stderr_logfile": "NONE",
    }


def _section(name: str, options: dict[str, object]) -> str:
    lines = (f"{key}={str(value).replace('%', '%%')}" for key, value in options.items())
    return "\n".join([f"[{name}]", *lines, ""])


def supervise(config: Path, address: tuple[str, int] | None, show: Callable[[dict[str, int]], None]) -> None:
    """Run until a signal requests the end and all processes have ended. show: gets the IDs of those that run now."""
    options = _Options()
    options.realize(["-c", str(config)])
    options.first, options.test = True, False
    with contextlib.suppress(ExitNow):  # its loop ends with this exception
        _Supervisor(options, address, show).main()


class _Log(loggers.Logger):
    """Writes the messages of supervisor in the format of all other log lines."""

    def log(self, level: int, msg: str, **values: Any) -> None:
        # supervisor's levels have the numbers of Python's logging.
        logger.log(level, msg % values if values else msg)


class _Options(ServerOptions):
    def make_logger(self) -> None:
        self.logger = _Log(loggers.LevelsByName.WARN)

    def dup2(self, source: int, target: int) -> None:
        # Programs inherit stdout and stderr instead of getting pipes, so that a terminal stays a terminal.
        if target not in {1, 2}:
            super().dup2(source, target)

    def get_signal(self) -> int | None:
        # When the terminal is closed, supervisor would restart everything.
        number: int | None = super().get_signal()
        return signal.SIGTERM if number == signal.SIGHUP else number


class _Supervisor(Supervisor):
    def __init__(
        self, options: ServerOptions, address: tuple[str, int] | None, show: Callable[[dict[str, int]], None]
    ) -> None:
        super().__init__(options)
        self.unconfirmed = address
        self.show = show

    def tick(self, now: float | None = None) -> None:
        super().tick(now)
        with contextlib.suppress(OSError):  # a full disk must not end the supervisor
            self.show({process.config.name: process.pid for process in self._processes() if process.pid})
        if self.unconfirmed and _answers(self.unconfirmed):
            host, port = self.unconfirmed
            logger.info("VLog is running at http://%s:%d  (Ctrl-C stops it)", bracketed(host), port)
            self.unconfirmed = None

    def _processes(self) -> Iterator[Any]:
        for group in self.process_groups.values():
            yield from group.processes.values()


def _answers(address: tuple[str, int]) -> bool:
    connection = http.client.HTTPConnection(*address, timeout=1)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()
