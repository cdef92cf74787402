"""The only module that starts processes: ffmpeg, run to its end or read while it writes, and modules in Python.

Each is started by a thread of its own, which the kernel confines (`confinement`).
"""

import logging
import os
import selectors
import shutil
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, Self

from transcoding.engine.ffmpeg import confinement
from transcoding.engine.ffmpeg.confinement import Rights
from transcoding.engine.ffmpeg.inputs import ports

try:
    import imageio_ffmpeg
except ImportError:  # a remote worker has only Python and an ffmpeg of its own
    imageio_ffmpeg = None

log = logging.getLogger(__name__)

HOME = str(Path(__file__).absolute().parents[3])  # where this code is: a folder, or the one file of a remote worker
LOG_LINES = 30
LINES = 1 << 20  # bytes read at a time
MEMORY = 8 << 30  # bytes; 8K of 10 bits takes 1.5 GB with two threads, and each further thread a picture or two

UNDECODED = b"Error submitting packet to decoder"  # ffmpeg logs this for each packet that it cannot decode
STOPPED = 255  # the exit code of an ffmpeg that a signal asked to end, and of one that ended with an error of -1
OWN_ERROR = "error code: -1 "  # what it logs in the second case
GRACE = 10  # seconds of processor time between the signal that names the limit, and the end


class FfmpegError(Exception):
    """The process failed; the message contains the end of its log."""


class Killed(FfmpegError):
    """The process was ended from outside, or reached a limit: another attempt would end the same way."""


@dataclass(frozen=True)
class Limits:
    """The limits of one process: bytes of its own memory, and seconds of processor time. 0: no limit."""

    memory: int = MEMORY
    cpu: int = 0


@cache
def executable() -> str:
    """Return the ffmpeg to use: VLOG_FFMPEG, else the one of the Python packages, else the machine's."""
    return os.environ.get("VLOG_FFMPEG") or (imageio_ffmpeg.get_ffmpeg_exe() if imageio_ffmpeg else "ffmpeg")


@cache
def version() -> str:
    """Return the version that `ffmpeg -version` prints, such as `n9.0.2`. Raises FfmpegError where there is none."""
    try:
        line = subprocess.run(
            [executable(), "-version"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env=confinement.environment(Rights()),
        ).stdout
        return line.split()[2]
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        raise FfmpegError(f"{executable()} is not an ffmpeg that runs: install ffmpeg, or set VLOG_FFMPEG") from error


DEFAULT_LIMITS, NO_RIGHTS = Limits(), Rights()


def run(
    arguments: Sequence[str],
    *,
    timeout: float,
    folder: Path | None = None,
    nice: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> bytes:
    """Run ffmpeg to its end; return what it wrote to its standard output. folder: where it may write files.

    Raises FfmpegError where it fails or takes longer than `timeout` seconds.
    """
    command = _command(arguments, nice=nice, limits=limits)
    rights = Rights(() if folder is None else (str(folder),), ports(arguments))
    try:
        with ThreadPoolExecutor(1, initializer=confinement.confine, initargs=(rights,)) as pool:
            done = pool.submit(_run, command, timeout, confinement.environment(rights)).result()
    except subprocess.TimeoutExpired as error:
        raise FfmpegError(f"ffmpeg took longer than {timeout:.0f} s") from error
    if done.returncode:
        raise _error(done.returncode, done.stderr.decode(errors="replace").splitlines())
    return done.stdout


def _run(command: list[str], timeout: float, environment: dict[str, str]) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False, env=environment
    )


class Running:
    """An ffmpeg that writes into pipes; leaving the `with` block kills it if it still runs."""

    undecoded = 0  # packets that could not be decoded, known once the process has ended
    name = "ffmpeg"
    error_lines = LOG_LINES

    def __init__(
        self, arguments: Sequence[str], pipes: Collection[int], *, nice: bool = False, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._command, self._rights = _command(arguments, nice=nice, limits=limits), Rights(ports=ports(arguments))
        self._options: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.DEVNULL,
            "pass_fds": tuple(pipes),
            "env": confinement.environment(self._rights),
        }
        self._log: deque[str] = deque(maxlen=LOG_LINES)

    def __enter__(self) -> Self:
        started: Future[subprocess.Popen[bytes]] = Future()
        self._reader = threading.Thread(target=self._watch, args=(started,), daemon=True)
        self._reader.start()
        self._process = started.result()
        return self

    def _watch(self, started: "Future[subprocess.Popen[bytes]]") -> None:
        """Start the process and read its log. The thread ends after it: to setpriv, its end is that of the worker."""
        try:
            confinement.confine(self._rights)
            # A signal to the worker's group must not cut a segment short.
            process = subprocess.Popen(self._command, stderr=subprocess.PIPE, process_group=0, **self._options)
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            started.set_exception(error)
            return
        started.set_result(process)
        if process.stderr is not None:
            self._read_log(process.stderr)
        process.wait()

    def _read_log(self, stderr: IO[bytes]) -> None:
        with stderr:
            for line in stderr:
                self._log.append(line.decode(errors="replace").rstrip())
                self.undecoded += UNDECODED in line

    def finish(self, timeout: float) -> None:
        """Wait for the end; raises FfmpegError where the process failed."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise FfmpegError(f"{self.name} did not end {timeout:.0f} s after its last output") from error
        self._reader.join()
        if code:
            log.warning("%s:\n%s", self.name, "\n".join(self._log))
            raise _error(code, list(self._log)[-self.error_lines :], self.name)

    def __exit__(self, *exception: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()


class Program(Running):
    """A program of the operator's, confined; its working and temporary folder is the first that it may write to."""

    name = "the program"
    error_lines = 3

    def __init__(self, command: Sequence[str], limits: Limits, rights: Rights) -> None:
        super().__init__([], ())
        self._rights = rights
        self._command = [*_guard(nice=True, limits=limits), *command]
        home = rights.folders[0]
        environment = {**confinement.environment(rights), "HOME": home, "TMPDIR": home, "XDG_CACHE_HOME": home}
        nothing = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
        self._options = {**nothing, "env": environment, "cwd": home}

    def has_ended(self, seconds: float) -> bool:
        """Wait for the end for some seconds; returns whether it came."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


class Python(Running):
    """A module of VLog in a process of its own, which gets a message and answers in lines; killed like an encoder.

    Without limits its memory and time are unlimited: torch needs that. The first of
    the folders that it may write to is for its temporary files.
    """

    name = "the process"
    error_lines = 1  # of a traceback, the line that an editor can read

    def __init__(self, module: str, message: str, limits: Limits | None = None, rights: Rights = NO_RIGHTS) -> None:
        super().__init__([], ())
        self._rights = rights
        guard = _guard(nice=limits is None, limits=limits or Limits(memory=0))
        self._command = [*guard, sys.executable, "-P", "-m", module]
        self._message = message
        path = os.pathsep.join(filter(None, (HOME, os.environ.get("PYTHONPATH"))))
        environment = {**confinement.environment(rights), "PYTHONPATH": path}
        if rights.folders:
            environment["TMPDIR"] = rights.folders[0]
        self._options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": environment}

    def __enter__(self) -> Self:
        super().__enter__()
        if self._process.stdin is not None:
            with (
                suppress(BrokenPipeError),
                self._process.stdin as stdin,
            ):  # its log and its exit code say why it ended
                stdin.write(self._message.encode())
        return self

    def lines(self, tick: float) -> Iterator[bytes | None]:
        """Yield each line that it writes, until it closes its output; None after each `tick` seconds without one."""
        rest, out = b"", self._process.stdout
        if out is None:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            while True:
                if not selector.select(tick):
                    yield None
                    continue
                data = os.read(out.fileno(), LINES)
                *whole, rest = (rest + data).split(b"\n")
                yield from whole
                if not data:
                    return

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        if self._process.stdout is not None:
            self._process.stdout.close()


def _command(arguments: Sequence[str], *, nice: bool, limits: Limits = DEFAULT_LIMITS) -> list[str]:
    guard = _guard(nice=nice, limits=limits)
    return [*guard, executable(), "-hide_banner", "-nostdin", "-v", "error", *arguments]


def _guard(*, nice: bool, limits: Limits) -> list[str]:
    # An encoder must not outlive its worker, whatever kills the worker.
    guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    if shutil.which("prlimit"):
        # Not the address space: libraries and threads reserve far more of it than they use.
        memory = [f"--data={limits.memory}"] if limits.memory else []
        cpu = [f"--cpu={limits.cpu}:{limits.cpu + GRACE}"] if limits.cpu else []
        guard += ["prlimit", "--core=0", *memory, *cpu, "--"]
    return [*guard, *(["nice", "-n", "10"] if nice else [])]


def _error(code: int, log: list[str], name: str = "ffmpeg") -> FfmpegError:
    end = "\n".join(log[-LOG_LINES:]).strip() or "it logged nothing"
    is_stopped = code == STOPPED and not any(OWN_ERROR in line for line in log)
    if is_stopped or code == -signal.SIGXCPU:
        return Killed(f"{name} exceeded its limit of processor time, or was asked to stop: {end}")
    if code >= 0:
        out_of_memory = any("Cannot allocate memory" in line for line in log)
        return (Killed if out_of_memory else FfmpegError)(f"{name} ended with code {code}: {end}")
    return Killed(f"{name} was killed by signal {-code}: {end}")
