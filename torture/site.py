"""A separate installation, its processes, and the video that it makes."""

import ctypes
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from django.db import Error, close_old_connections, connections

from transcoding.engine.package.contents import segments_there
from transcoding.models import TranscodingJob
from videos.models import Video
from videos.storage.paths import package_dir, source_path
from vlog.environment import BASE_DIR
from vlog.tests.processes import belonging_to, kill_all, reserve_port

POLL = 0.1  # seconds
PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


class Violation(AssertionError):
    """A rule does not hold."""


class Site:
    """`manage.py up` and further nodes in one data folder; `stop` ends them all."""

    video = "testsrc2=size=640x480:rate=25"  # of the clip; it gets two rungs
    audio = "sine=440:sample_rate=48000"
    loops, loops_each = 4, 1  # of the clip: nine segments in four chunks, and more for each further fault

    def __init__(
        self, folder: Path, patience: int, host: str = "127.0.0.1", programs: str = "web,tasks,encode,beat"
    ) -> None:
        self.folder, self.log = folder, folder / "up.log"
        self.patience = patience  # seconds until a wait times out
        self.host, self.programs = host, programs
        self._reserved = reserve_port(host)
        self.port: int = self._reserved.getsockname()[1]
        self._started: list[subprocess.Popen[bytes]] = []
        # Orphans of killed processes become children of this process, which must reap them.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def up(self) -> None:
        """Start all programs, and wait until the site answers and its nodes run."""
        connections.close_all()  # of an earlier database server
        self.supervisor = self._run(
            "manage.py", "up", "--only", self.programs, "--port", str(self.port), "--bind", self.host
        )
        self.wait(self.answers, "the site")
        nodes = {"tasks", "encode"} & set(self.programs.split(","))
        self.wait(lambda: all(map(self.node, nodes)), "the nodes")

    def start_node(self, name: str, **variables: str) -> None:
        """Start an encoding node as if on another machine; no supervisor restarts it."""
        celery = ("-m", "celery", "--quiet", "-A", "vlog", "worker", "-Q", "encode", "-n", f"{name}@other")
        self._run(*celery, "-c", "1", "--without-gossip", "--without-mingle", "-l", "INFO", **variables)

    def _run(self, *arguments: str, **variables: str) -> "subprocess.Popen[bytes]":
        return self.start([sys.executable, *arguments], self.log, BASE_DIR, {**os.environ, **variables})

    def start(self, command: list[str], log: Path, folder: Path, env: dict[str, str]) -> "subprocess.Popen[bytes]":
        """Start a child process, which only its Popen object reaps."""
        with log.open("ab") as file:
            process = subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        self._started.append(process)
        return process

    def stop(self) -> None:
        kill_all(self.folder)
        self.reap()

    def reap(self) -> None:
        """Reap ended children and orphans."""
        for process in self._started:
            process.poll()
        alive = {process.pid for process in self._started if process.returncode is None}
        try:
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in alive:
                    return
                os.waitpid(ended.si_pid, 0)
        except ChildProcessError:
            return

    def answers(self) -> bool:
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=5)) as connection:
            try:
                connection.request("GET", "/readyz")
                return connection.getresponse().status == http.client.OK
            except OSError:
                return False

    def wait(self, condition: Callable[[], bool], what: str) -> float:
        """Wait for a condition and return the seconds it took. A database that is down counts as not yet."""
        began = time.monotonic()
        while not self._holds(condition):
            if time.monotonic() - began > self.patience:
                raise Violation(f"timed out after {self.patience} s waiting for {what}")
            time.sleep(POLL)
        return time.monotonic() - began

    def _holds(self, condition: Callable[[], bool]) -> bool:
        self.reap()
        try:
            return condition()
        except Error:
            close_old_connections()
            return False

    def node(self, program: str) -> int:
        """Return the main process of a node, 0 if it does not run. `other` is the node of the other machine."""
        word = f"-n {program}@other" if program == "other" else f"-n {program}@%h"
        pids = [pid for pid in belonging_to(self.folder) if word in words(pid)]
        return next((pid for pid in pids if parent(pid) not in pids), 0)

    def child(self, program: str) -> int:
        """Return the working process of a node, 0 if there is none."""
        node = self.node(program)
        return next((pid for pid in belonging_to(self.folder) if node and parent(pid) == node), 0)

    def encoders(self, of: int = 0) -> list[int]:
        """Return all ffmpeg processes, or those of one working process."""
        pids = [pid for pid in belonging_to(self.folder) if "ffmpeg" in words(pid).split(" ", 1)[0]]
        return [pid for pid in pids if not of or parent(pid) == of]

    def service(self, word: str) -> int:
        """Return the process of `postgres -D` or `valkey-server`, 0 if it does not run."""
        return min((pid for pid in belonging_to(self.folder) if word in words(pid)), default=0)

    def web(self) -> list[int]:
        """Return the processes of the web server."""
        return [pid for pid in belonging_to(self.folder) if "gunicorn" in words(pid)]

    def logs(self) -> list[Path]:
        return [self.log]

    def add_video(self, title: str, clip: Path) -> TranscodingJob:
        """Create a video of a clip as an upload does, and return its job."""
        video = Video.objects.create_with_slug(title=title, source_name="clip.mkv")
        job: TranscodingJob = TranscodingJob.objects.create(video=video)
        target = source_path(video)
        target.parent.mkdir(parents=True)
        os.link(clip, target)
        return job


def send(pids: Iterator[int] | list[int], number: signal.Signals) -> None:
    """Send a signal to processes, running or not."""
    for pid in filter(None, pids):  # 0 stands for no process here, but for the whole process group in kill(2)
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def segment_count(job: TranscodingJob) -> int:
    """Return the number of video segments in the storage, of all rungs."""
    folders = package_dir(job.video).glob("*p")
    return sum(len(segments_there(folder)) for folder in folders)


def words(pid: int) -> str:
    """Return the command line of a process, empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def parent(pid: int) -> int:
    """Return the parent of a process, 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[1])
    except OSError:
        return 0
