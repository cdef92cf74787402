"""A site without an encoder, and agents at the ends of cables: bare Python, the site's own file, a key, an ffmpeg."""

import http.client
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from torture.network import SITE, Cable
from torture.site import Broken, Site, send
from transcoding.engine.ffmpeg import processes
from transcoding.models import Attempt, ChunkKind, TranscodingJob
from vlog.tests.processes import belonging_to
from workers import keys
from workers.models import Worker

AGENTS = 2
PACE = 8  # seconds of pictures that an encoder reads in a second: it takes time and no cores; faster, ffmpeg stutters
SKEW = 3600  # seconds by which an agent's clock is ahead


class Agent:
    """One remote worker; it may be killed and started again."""

    process: "subprocess.Popen[bytes]"

    def __init__(self, fleet: "Fleet", name: str, cable: Cable, *, key: str = "", skew: int = 0) -> None:
        self.fleet, self.name, self.cable = fleet, name, cable
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
        """Start it, for an address of the site's, and wait until the site knows it."""
        known = self.said("knows this worker as")
        program = [sys.executable, "-I", "-S", str(self.fleet.program), address or self.fleet.address]
        options = ["--key-file", str(self.home / "key"), "--encoder", "libx264", "--threads", "1"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "VLOG_FFMPEG": str(self.fleet.paced)}
        command = [*self.cable.inside, *self.skewed, *program, *options]
        self.process = self.fleet.start(command, self.log, self.home, environment)
        self.fleet.wait(
            lambda: self.said("knows this worker as") > known or self.is_over(), f"the start of {self.name}"
        )
        if self.is_over():
            raise Broken(f"{self.name} does not start: {self.log.read_text(errors='replace')[-500:].strip()}")

    def is_over(self) -> bool:
        return self.process.poll() is not None

    def said(self, words: str) -> int:
        """How often it said this."""
        return self.log.read_text(errors="replace").count(words) if self.log.exists() else 0

    def stop(self) -> None:
        """Ask it to end, and see that it does as it should."""
        self.process.send_signal(signal.SIGTERM)
        self.ends_with(0)

    def ends_with(self, code: int) -> float:
        """The seconds until it has ended; raises Broken where its exit code is another one."""
        seconds = self.fleet.wait(self.is_over, f"the end of {self.name}")
        if self.process.returncode != code:
            raise Broken(f"{self.name} ended with {self.process.returncode}, not {code}")
        return seconds

    def processes(self) -> list[int]:
        """It and its encoders."""
        return belonging_to(self.home)

    def encoders(self) -> set[int]:
        return set(self.processes()) & set(self.fleet.encoders())

    def at_work(self) -> Attempt | None:
        """The attempt at pictures that it is at."""
        return Attempt.objects.running().filter(worker_name=self.name, kind=ChunkKind.VIDEO).first()


class Fleet(Site):
    """A site that agents reach, each through a cable of its own, and they."""

    picture = "smptebars=size=160x90:rate=30"  # segments that a slow line can carry
    sound = ""
    loops, loops_each = 16, 10  # they are two, and a lease takes its time

    def __init__(self, folder: Path, patience: int) -> None:
        super().__init__(folder, patience, host=SITE, programs="web,tasks,beat")
        self.program, self.paced = folder / "agent.pyz", folder / "ffmpeg-paced"
        self.pace(0)
        self.agents: list[Agent] = []
        self.cables: list[Cable] = []

    def pace(self, pace: int) -> None:
        """How fast encoders read that are started from now on; 0: as fast as they can."""
        new = self.paced.with_suffix(".new")
        new.write_text(f'#!/bin/sh\nexec "{processes.executable()}" -readrate {pace} "$@"\n')
        new.chmod(0o755)
        new.replace(self.paced)

    @property
    def address(self) -> str:
        return f"http://{self.host}:{self.port}"

    def up(self) -> None:
        """The site and all of its agents; the second one's clock is wrong."""
        self.start_site()
        self.program.write_bytes(self.download("/api/worker/v1/agent.pyz"))
        self.cables = [Cable(number + 1) for number in range(AGENTS)]
        self._started += [cable.holder for cable in self.cables]
        self.agents = [
            Agent(self, f"agent{number}", cable, skew=SKEW * (number - 1))
            for number, cable in enumerate(self.cables, start=1)
        ]
        for agent in self.agents:
            agent.start()

    def arrive(self, title: str, clip: Path) -> TranscodingJob:
        self.pace(PACE)
        return super().arrive(title, clip)

    def start_site(self) -> None:
        super().up()

    def stop_site(self, number: signal.Signals) -> None:
        """End all that `up` started, or kill all of the site, its database too."""
        if number == signal.SIGTERM:
            self.supervisor.send_signal(number)
            self.wait(lambda: self.supervisor.poll() is not None, "the end of the site")
        else:
            self.wait(lambda: not self._kill_site(), "the end of the site")

    def _kill_site(self) -> list[int]:
        """Kill what is here; it may be starting something."""
        far = set(belonging_to(self.folder / "agents"))
        here = [pid for pid in belonging_to(self.folder) if pid not in far]
        send(here, signal.SIGKILL)
        return here

    def stop(self) -> None:
        super().stop()
        for cable in self.cables:
            cable.remove()
        self.agents, self.cables = [], []

    def download(self, path: str) -> bytes:
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=30)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read()

    def logs(self) -> list[Path]:
        return [self.log, *(agent.log for agent in self.agents)]
