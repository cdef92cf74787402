"""The only module that starts a process: ffmpeg, run to its end or watched while it writes."""

import os
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Collection, Sequence
from functools import cache
from typing import IO, Self

import imageio_ffmpeg

LOG_LINES = 30


class FfmpegError(Exception):
    """ffmpeg failed; the message holds the end of what it said."""


@cache
def executable() -> str:
    """The ffmpeg to use: VLOG_FFMPEG, else the one that came with the packages."""
    return os.environ.get("VLOG_FFMPEG") or imageio_ffmpeg.get_ffmpeg_exe()


@cache
def version() -> str:
    """What `ffmpeg -version` calls itself, such as `n9.0.2`."""
    line = subprocess.run([executable(), "-version"], capture_output=True, text=True, check=True, timeout=60).stdout
    return line.split()[2]


def run(arguments: Sequence[str], *, timeout: float) -> None:
    """Run ffmpeg to its end; raises FfmpegError where it fails or takes longer than `timeout` seconds."""
    command = _command(arguments, nice=False)
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise FfmpegError(f"ffmpeg took longer than {timeout:.0f} s") from error
    if done.returncode:
        raise FfmpegError(_sentence(done.returncode, done.stderr.decode(errors="replace").splitlines()))


class Running:
    """An ffmpeg that writes into pipes; leaving the `with` block kills it if it still runs."""

    def __init__(self, arguments: Sequence[str], pipes: Collection[int], *, nice: bool = False) -> None:
        self._command, self._pipes = _command(arguments, nice=nice), pipes
        self._log: deque[str] = deque(maxlen=LOG_LINES)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=tuple(self._pipes),
            process_group=0,  # a signal to the worker's group must not cut a segment short
        )
        self._reader = threading.Thread(target=self._read_log, args=(self._process.stderr,), daemon=True)
        self._reader.start()
        return self

    def _read_log(self, stderr: IO[bytes]) -> None:
        with stderr:
            for line in stderr:
                self._log.append(line.decode(errors="replace").rstrip())

    def finish(self, timeout: float) -> None:
        """Wait for the end; raises FfmpegError where it failed."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise FfmpegError(f"ffmpeg did not end {timeout:.0f} s after its last output") from error
        self._reader.join()
        if code:
            raise FfmpegError(_sentence(code, list(self._log)))

    def __exit__(self, *exception: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()


def _command(arguments: Sequence[str], *, nice: bool) -> list[str]:
    # An encoder must not outlive its worker, whatever kills the worker.
    guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    slow = ["nice", "-n", "10"] if nice else []
    return [*guard, *slow, executable(), "-hide_banner", "-nostdin", "-v", "error", *arguments]


def _sentence(code: int, log: list[str]) -> str:
    how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    return f"ffmpeg {how}: " + ("\n".join(log[-LOG_LINES:]).strip() or "it said nothing")
