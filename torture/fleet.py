"""A site without an encoding node, and remote workers behind network links of their own."""

import http.client
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from torture.network import SITE, Link
from torture.site import Site, Violation, send
from transcoding.engine.ffmpeg import processes
from transcoding.models import Attempt, ChunkKind, TranscodingJob
from vlog.tests.processes import belonging_to
from workers import keys
from workers.models import Worker

AGENTS = 2
READ_RATE = 8  # times real time at which encoders read: slow without using a core; a higher rate makes ffmpeg stutter
CLOCK_SKEW = 3600  # seconds that the second agent's clock is ahead


class Agent:
    """A remote worker, which can be killed and started again."""

    process: "subprocess.Popen[bytes]"

    def __init__(self, fleet: "Fleet", name: str, link: Link, *, key: str = "", skew: int = 0) -> None:
        self.fleet, self.name, self.link = fleet, name, link
        self.home = fleet.folder / "agents" / name
        self.home.mkdir(parents=True, exist_ok=True)
        self.log = self.home / "log"
        self.skewed = ["unshare", "--time", "--monotonic", str(skew), "--boottime", str(skew)] if skew else []
        self.give_key(key or keys.issue(Worker.objects.get_or_create(worker_name=name)[0])[0])

    def give_key(self, key: str) -> None:
        self.key = key
        path = self.home / "key"
        path.touch(mode=0o600)
        path.write_text(key)

    def start(self, address: str = "") -> None:
        """Start the agent with an address of the site, and wait until it has registered."""
        registered = self.logged("knows this worker as")
        program = [sys.executable, "-I", "-S", str(self.fleet.program), address or self.fleet.address]
        options = ["--key-file", str(self.home / "key"), "--encoder", "libx264", "--threads", "1"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "VLOG_FFMPEG": str(self.fleet.slow_ffmpeg)}
        command = [*self.link.inside, *self.skewed, *program, *options]
        self.process = self.fleet.start(command, self.log, self.home, environment)
        self.fleet.wait(
            lambda: self.logged("knows this worker as") > registered or self.has_ended(), f"the start of {self.name}"
        )
        if self.has_ended():
            raise Violation(f"{self.name} does not start: {self.log.read_text(errors='replace')[-500:].strip()}")

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def logged(self, words: str) -> int:
        """Return how often the agent logged this."""
        return self.log.read_text(errors="replace").count(words) if self.log.exists() else 0

    def stop(self) -> None:
        """Send SIGTERM, and check that the agent exits with 0."""
        self.process.send_signal(signal.SIGTERM)
        self.wait_for_exit(0)

    def wait_for_exit(self, code: int) -> float:
        """Return the seconds until the agent exits; raises Violation for another exit code."""
        seconds = self.fleet.wait(self.has_ended, f"the end of {self.name}")
        if self.process.returncode != code:
            raise Violation(f"{self.name} exited with {self.process.returncode}, not {code}")
        return seconds

    def processes(self) -> list[int]:
        """Return the process ids of the agent and its encoders."""
        return belonging_to(self.home)

    def encoders(self) -> set[int]:
        return set(self.processes()) & set(self.fleet.encoders())

    def current_attempt(self) -> Attempt | None:
        """Return the agent's running attempt at a video chunk."""
        return Attempt.objects.running().filter(worker_name=self.name, kind=ChunkKind.VIDEO).first()


class Fleet(Site):
    """A site and its agents, each behind a network link of its own."""

    video = "smptebars=size=160x90:rate=30"  # small segments, for the scenario of a slow link
    audio = ""
    loops, loops_each = 16, 10  # two agents share the work, and each fault may last for a lease

    def __init__(self, folder: Path, patience: int) -> None:
        super().__init__(folder, patience, host=SITE, programs="web,tasks,beat")
        self.program, self.slow_ffmpeg = folder / "agent.pyz", folder / "slow-ffmpeg"
        self.set_read_rate(0)
        self.agents: list[Agent] = []
        self.links: list[Link] = []

    def set_read_rate(self, rate: int) -> None:
        """Set how fast encoders read that start from now on, in times real time; 0: without a limit."""
        new = self.slow_ffmpeg.with_suffix(".new")
        new.write_text(f'#!/bin/sh\nexec "{processes.executable()}" -readrate {rate} "$@"\n')
        new.chmod(0o755)
        new.replace(self.slow_ffmpeg)

    @property
    def address(self) -> str:
        return f"http://{self.host}:{self.port}"

    def up(self) -> None:
        """Start the site and all agents; the clock of the second one is wrong."""
        self.start_site()
        self.program.write_bytes(self.download("/api/worker/v1/agent.pyz"))
        self.links = [Link(number + 1) for number in range(AGENTS)]
        self._started += [link.holder for link in self.links]
        self.agents = [
            Agent(self, f"agent{number}", link, skew=CLOCK_SKEW * (number - 1))
            for number, link in enumerate(self.links, start=1)
        ]
        for agent in self.agents:
            agent.start()

    def add_video(self, title: str, clip: Path) -> TranscodingJob:
        self.set_read_rate(READ_RATE)
        return super().add_video(title, clip)

    def start_site(self) -> None:
        super().up()

    def stop_site(self, number: signal.Signals) -> None:
        """Stop what `up` started, or kill the whole site with its database."""
        if number == signal.SIGTERM:
            self.supervisor.send_signal(number)
            self.wait(lambda: self.supervisor.poll() is not None, "the end of the site")
        else:
            self.wait(lambda: not self._kill_site(), "the end of the site")

    def _kill_site(self) -> list[int]:
        """Kill the site's processes and return their ids; a killed process may just have started another."""
        agents = set(belonging_to(self.folder / "agents"))
        site = [pid for pid in belonging_to(self.folder) if pid not in agents]
        send(site, signal.SIGKILL)
        return site

    def stop(self) -> None:
        super().stop()
        for link in self.links:
            link.remove()
        self.agents, self.links = [], []

    def download(self, path: str) -> bytes:
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=30)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read()

    def logs(self) -> list[Path]:
        return [self.log, *(agent.log for agent in self.agents)]
