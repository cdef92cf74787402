"""The CPU time of all descendants of this process, however they were started and ended.

Linux gives a dead process's time to the one that waited for it, and orphans to the nearest subreaper, which this
process becomes: so nothing that a supervisor, a daemon or a short-lived encoder uses is lost.
"""

import ctypes
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
TICKS = os.sysconf("SC_CLK_TCK")
SERVERS = {"postgres": "PostgreSQL", "valkey-server": "Redis"}

Seconds = dict[str, float]  # CPU seconds by what they were used for


@dataclass(frozen=True)
class Process:
    """One line of /proc/<pid>/stat; seconds of its own and of the dead children that it waited for."""

    pid: int
    parent: int
    command: str
    own: float
    children: float


class Family:
    """All descendants of this process, except those that `run` measures on their own."""

    def __init__(self) -> None:
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
        self._orphans = 0.0
        self.waited_for: set[int] = set()  # children that other code of this process waits for

    def members(self) -> list[Process]:
        found = list(_all_processes())
        ours, size = {os.getpid()}, 0
        while size != len(ours):
            size = len(ours)
            ours |= {process.pid for process in found if process.parent in ours}
        return [process for process in found if process.pid in ours and process.pid != os.getpid()]

    def seconds(self) -> Seconds:
        """What was used since the beginning."""
        self._bury_orphans()
        used = defaultdict(float, orphans=self._orphans)
        for process in self.members():
            program = program_of(process)
            used[program] += process.own
            used[_children_of(program)] += process.children
        return dict(used)

    def written(self, *programs: str) -> int:
        """Bytes that these programs and the processes they waited for have sent to the disk; proc_pid_io(5)."""
        return sum(
            _counter(process, "io", "write_bytes") for process in self.members() if program_of(process) in programs
        )

    def largest(self, *programs: str) -> int:
        """The most memory, in bytes, that one process of these programs ever had in use; without ffmpeg's."""
        found = (_counter(process, "status", "VmHWM") for process in self.members() if program_of(process) in programs)
        return 1024 * max(found, default=0)

    def strangers(self) -> float:
        """CPU seconds since the machine started that were not ours: whatever else runs beside a measurement."""
        self._bury_orphans()
        ours = sum(process.own + process.children for process in self.members())
        myself = os.times()
        return _machine_seconds() - ours - sum(myself[:4])

    def _bury_orphans(self) -> None:
        with suppress(ChildProcessError):
            while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                if found.si_pid in self.waited_for:
                    return
                _, _, usage = os.wait4(found.si_pid, 0)
                self._orphans += usage.ru_utime + usage.ru_stime


def total(used: Seconds) -> float:
    return sum(used.values())


def difference(after: Seconds, before: Seconds) -> Seconds:
    return {name: after[name] - before.get(name, 0.0) for name in after}


def less_idle(used: Seconds, idle: Seconds, seconds: float) -> Seconds:
    """What was used beyond what an idle installation needs in that time; idle is CPU seconds a second."""
    return {name: used[name] - idle.get(name, 0.0) * seconds for name in used}


def _machine_seconds() -> float:
    """All that was not idle, of proc_stat(5): user, nice, system, irq, softirq, steal."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return sum(fields[:3] + fields[5:8]) / TICKS


def _all_processes() -> Iterator[Process]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it ended meanwhile
                yield _parse((folder / "stat").read_text())


def _parse(stat: str) -> Process:
    """proc_pid_stat(5): the command stands in parentheses and may hold any character."""
    pid, rest = stat.split(" (", 1)
    command, rest = rest.rsplit(") ", 1)
    fields = rest.split()
    user, system, children_user, children_system = (int(field) / TICKS for field in fields[11:15])
    return Process(int(pid), int(fields[1]), command, user + system, children_user + children_system)


def _counter(process: Process, file: str, name: str) -> int:
    """A number of /proc/<pid>/<file>; 0 where the process has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{process.pid}/{file}").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
    return 0


def program_of(process: Process) -> str:
    """What a process works for: our supervisor gives each program its name."""
    if process.command in SERVERS:
        return SERVERS[process.command]
    # ffmpeg's environment has no setting of the site, so its parent's is asked.
    program = _named(process.pid) or _named(process.parent) or "supervisor"
    return f"{program}: ffmpeg" if process.command.startswith("ffmpeg") else program


def _named(pid: int) -> str:
    """Return the name that the supervisor gave a process; empty for other processes."""
    environment = b""
    with suppress(OSError):
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    names = [entry[13:].decode() for entry in environment.split(b"\0") if entry.startswith(b"VLOG_PROCESS=")]
    return names[0] if names else ""


def _children_of(program: str) -> str:
    return program if program in SERVERS.values() or ":" in program else f"{program}: ffmpeg"
