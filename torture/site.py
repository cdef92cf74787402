"""An installation of its own, its processes, and what is known of the one video that it makes."""

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

LOOK = 0.1  # seconds between two looks
PR_SET_CHILD_SUBREAPER = 36  # prctl(2)


class Broken(AssertionError):
    """Something that is promised does not hold."""


class Site:
    """`manage.py up` and further nodes in one data folder; `stop` ends all of it."""

    picture = "testsrc2=size=640x480:rate=25"  # of the clip: two rungs
    sound = "sine=440:sample_rate=48000"
    loops, loops_each = 4, 1  # of the clip: nine segments in four pieces; more for each further fault in one video

    def __init__(
        self, folder: Path, patience: int, host: str = "127.0.0.1", programs: str = "web,tasks,encode,beat"
    ) -> None:
        self.folder, self.log = folder, folder / "up.log"
        self.patience = patience  # seconds for anything to happen at all
        self.host, self.programs = host, programs
        self._reserved = reserve_port(host)
        self.port: int = self._reserved.getsockname()[1]
        self._started: list[subprocess.Popen[bytes]] = []
        # Killed processes whose parents die with them come to us, and leave when they are waited for.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def up(self) -> None:
        """Start everything, and wait until it answers and works."""
        connections.close_all()  # of an earlier database server
        self.supervisor = self._run(
            "manage.py", "up", "--only", self.programs, "--port", str(self.port), "--bind", self.host
        )
        self.wait(self.answers, "the site")
        nodes = {"tasks", "encode"} & set(self.programs.split(","))
        self.wait(lambda: all(map(self.node, nodes)), "the nodes")

    def start_node(self, name: str, **variables: str) -> None:
        """Another machine's encoder, with these settings: nobody starts it again."""
        celery = ("-m", "celery", "--quiet", "-A", "vlog", "worker", "-Q", "encode", "-n", f"{name}@other")
        self._run(*celery, "-c", "1", "--without-gossip", "--without-mingle", "-l", "INFO", **variables)

    def _run(self, *arguments: str, **variables: str) -> "subprocess.Popen[bytes]":
        return self.start([sys.executable, *arguments], self.log, BASE_DIR, {**os.environ, **variables})

    def start(self, command: list[str], log: Path, folder: Path, env: dict[str, str]) -> "subprocess.Popen[bytes]":
        """A process that is ours: its end is for its Popen to learn."""
        with log.open("ab") as file:
            process = subprocess.Popen(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        self._started.append(process)
        return process

    def stop(self) -> None:
        kill_all(self.folder)
        self.bury()

    def bury(self) -> None:
        """Let the dead go, ours and orphans."""
        for process in self._started:
            process.poll()
        alive = {process.pid for process in self._started if process.returncode is None}
        try:
            while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if found.si_pid in alive:
                    return
                os.waitpid(found.si_pid, 0)
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
        """Wait for something that may need a database which is just away; the seconds it took."""
        began = time.monotonic()
        while not self._holds(condition):
            if time.monotonic() - began > self.patience:
                raise Broken(f"waited {self.patience} s in vain for {what}")
            time.sleep(LOOK)
        return time.monotonic() - began

    def _holds(self, condition: Callable[[], bool]) -> bool:
        self.bury()
        try:
            return condition()
        except Error:
            close_old_connections()
            return False

    def node(self, program: str) -> int:
        """The process of a node that hands out the work; 0 where it does not run. `encode@other` names another's."""
        word = f"-n {program}@other" if program == "other" else f"-n {program}@%h"
        pids = [pid for pid in belonging_to(self.folder) if word in _words(pid)]
        return next((pid for pid in pids if _parent(pid) not in pids), 0)

    def child(self, program: str) -> int:
        """The process of a node that works; 0 where there is none."""
        node = self.node(program)
        return next((pid for pid in belonging_to(self.folder) if node and _parent(pid) == node), 0)

    def encoders(self, of: int = 0) -> list[int]:
        """All ffmpeg processes, or those of one working process."""
        pids = [pid for pid in belonging_to(self.folder) if "ffmpeg" in _words(pid).split(" ", 1)[0]]
        return [pid for pid in pids if not of or _parent(pid) == of]

    def service(self, word: str) -> int:
        """`postgres -D` or `valkey-server`; 0 where it is away."""
        return min((pid for pid in belonging_to(self.folder) if word in _words(pid)), default=0)

    def web(self) -> list[int]:
        """The processes of the web server."""
        return [pid for pid in belonging_to(self.folder) if "gunicorn" in _words(pid)]

    def logs(self) -> list[Path]:
        return [self.log]

    def arrive(self, title: str, clip: Path) -> TranscodingJob:
        """A video of a clip, as an upload makes it."""
        video = Video.objects.create_with_slug(title=title, source_name="clip.mkv")
        job: TranscodingJob = TranscodingJob.objects.create(video=video)
        target = source_path(video)
        target.parent.mkdir(parents=True)
        os.link(clip, target)
        return job


def send(pids: Iterator[int] | list[int], number: signal.Signals) -> None:
    """A signal to processes, dead or alive; 0 stands for none, and to kill(2) for all of ours."""
    for pid in filter(None, pids):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def made(job: TranscodingJob) -> int:
    """How many segments of pictures are there, in all rungs."""
    folders = package_dir(job.video).glob("*p")
    return sum(len(segments_there(folder)) for folder in folders)


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[1])
    except OSError:
        return 0
