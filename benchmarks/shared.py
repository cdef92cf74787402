"""One video by the site's own node and two remote workers together, and what the remote ones read beyond their need."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import av

from benchmarks.clips import Clip
from benchmarks.fleet import make_workers
from benchmarks.installation import Installation
from benchmarks.measures import publish
from transcoding.engine.ffmpeg import processes
from transcoding.engine.plan.plan import chunks, make_plan
from transcoding.engine.source.probe import read_media
from vlog import embedded

AGENTS = 2
PACE = 8  # seconds of pictures that a sleeping encoder takes in a second; faster, ffmpeg stutters
READ = 64 << 10  # bytes


@dataclass
class Shared:
    """Seconds until a video is public, by one node and by that and two agents, whose encoders sleep most of the time.

    read: bytes that two agents get of the site while they alone make another video, whose pieces need so many (needed).
    """

    alone: list[float] = field(default_factory=list)
    together: list[float] = field(default_factory=list)
    read: int = 0
    needed: int = 0

    @property
    def ratio(self) -> float:
        return sum(self.alone) / sum(self.together)

    @property
    def excess(self) -> float:
        return self.read / self.needed


def measure_shared(installation: Installation, long: Clip, real: Clip, rounds: int) -> Shared:
    shared = Shared()
    asleep, original = sleeping(installation.data), long.make()
    keys = make_workers(embedded.database_url(installation.data), AGENTS)
    with installation.node(0, VLOG_FFMPEG=asleep):
        for number in range(rounds):
            shared.alone.append(publish(installation, original, f"alone-{number}"))
        with agents(installation, installation.port, keys, asleep):
            for number in range(rounds):
                shared.together.append(publish(installation, original, f"together-{number}"))
    source = real.make()
    relay = Relay(installation.port)
    with agents(installation, relay.port, keys, processes.executable()):
        publish(installation, source, "far")
    shared.read, shared.needed = relay.read, needed(source)
    return shared


def needed(source: Path) -> int:
    """Bytes that all pieces of a video need of its original, from where each seeks to its last picture.

    Whatever lies between belongs to it: a piece that begins between two keyframes decodes from the first of them.
    """
    plan = make_plan(read_media(source), encoder="libx264", preset="veryfast", ffmpeg=processes.version())
    with av.open(str(source)) as container:
        (video,) = container.streams.video
        packets = [
            (packet.pts * packet.time_base, packet.pos, packet.size, packet.is_keyframe)
            for packet in container.demux(video)
            if packet.pts is not None and packet.pos is not None
        ]
    total = 0
    for piece in chunks(plan.timeline):
        seek, end = plan.seeks[piece.first], plan.timeline.bounds(piece.last)[1] * plan.timeline.unit
        keyframes = [pos for time, pos, _, is_keyframe in packets if is_keyframe and seek is not None and time <= seek]
        first = max(keyframes, default=packets[0][1])
        total += max(pos + size for time, pos, size, _ in packets if time < end) - first
    return total


def sleeping(folder: Path) -> str:
    """An ffmpeg that takes its time, and few cores: this machine has not as many as three workers have."""
    path = folder / "ffmpeg-asleep"
    path.write_text(f'#!/bin/sh\nexec "{processes.executable()}" -readrate {PACE} "$@"\n')
    path.chmod(0o755)
    return str(path)


@contextmanager
def agents(installation: Installation, port: int, keys: list[str], program: str) -> Iterator[None]:
    """Remote workers that reach the site at a port of this machine."""
    processes = []
    with installation.log.open("ab") as log:
        for key in keys:
            command = [sys.executable, "-m", "workers.agent", f"http://127.0.0.1:{port}", "--threads", "1"]
            env = {"PATH": os.environ["PATH"], "VLOG_FFMPEG": program, "VLOG_WORKER_KEY": key}
            processes.append(subprocess.Popen([*command, "--encoder", "libx264"], env=env, stdout=log, stderr=log))
    installation.family.waited_for.update(process.pid for process in processes)
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(60)


class Relay:
    """A way to the site that counts what comes from there."""

    def __init__(self, port: int) -> None:
        self.site, self.read = port, 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._lock = threading.Lock()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            near, _ = self._server.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self.site))
            except OSError:  # the site has ended
                near.close()
                continue
            threading.Thread(target=self._pass_on, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(far, near, True), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        with suppress(OSError):
            while data := source.recv(READ):
                target.sendall(data)
                with self._lock:
                    self.read += len(data) if counted else 0
        for side in (source, target):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
