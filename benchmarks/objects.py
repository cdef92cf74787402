"""An object store of its own, and what the chain costs with it beside the disk."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import Self

from benchmarks.clips import Clip
from benchmarks.installation import PATIENCE, Gave, Installation
from benchmarks.measures import Cost, run_chain
from benchmarks.processes import Family, Seconds, total

STORE = "object store"  # how its process is called among ours
BUCKET = "videos"
IDLE_SECONDS = 10
KEYS = {"VLOG_STORAGE_KEY": "bench", "VLOG_STORAGE_SECRET": "bench"}


class ObjectStore:
    """moto's server, whose own CPU time is not counted."""

    def __init__(self, family: Family) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self.family = family
        self.settings = {"VLOG_STORAGE_URL": f"s3://{BUCKET}?endpoint=http://127.0.0.1:{self.port}", **KEYS}

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "moto.server", "-p", str(self.port)]
        env = os.environ | {"VLOG_PROCESS": STORE}
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.family.waited_for.add(self.process.pid)
        end = time.monotonic() + PATIENCE
        while not self._makes_bucket():
            if time.monotonic() > end or self.process.poll() is not None:
                raise Gave("the object store does not start")
            time.sleep(0.2)
        return self

    def _makes_bucket(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with suppress(OSError):
            connection.request("PUT", f"/{BUCKET}")
            return connection.getresponse().status == http.client.OK
        return False

    def __exit__(self, *exception: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def measure_store(there: Installation, clip: Clip, rounds: int, idle: Seconds) -> Cost:
    """The chain on the disk (as bare) and from and to the object store, in turn; idle is that of the latter alone."""
    source, cost = clip.make(), Cost()
    with Installation(there.family, there.data.parent) as here:
        idle = {**idle, **here.idle_rate(IDLE_SECONDS)}  # of both
        for number in range(rounds):
            used, wall = run_chain(here, source, f"disk-{number}", idle)
            cost.bare.append(total(used))
            cost.bare_wall.append(wall)
            here.delete_everything()
            used, wall = run_chain(there, source, f"objects-{number}", idle)
            used = {name: value for name, value in used.items() if not name.startswith(STORE)}
            cost.chain.append(total(used))
            cost.chain_wall.append(wall)
            for name, value in used.items():
                cost.by_program[name] = cost.by_program.get(name, 0) + value / rounds
            there.delete_everything()
    return cost
