"""The four questions: what the chain costs, what copying saves, how soon a video plays, what captions cost."""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import clips
from benchmarks.clips import Clip
from benchmarks.installation import Installation
from benchmarks.processes import Seconds, difference, less_idle, total
from transcoding.engine.codecs.h264 import ENCODERS, SOFTWARE
from transcoding.engine.ffmpeg import processes
from transcoding.engine.plan.ladder import audio_bitrate_for, renditions_for

WIDTH, HEIGHT, RATE = 1920, 1080, 30
LOOK_SECONDS = 0.05
PRESET = os.environ.get("VLOG_X264_PRESET", "veryfast")
THREADS = os.environ.get("VLOG_ENCODE_THREADS", "0")
WORKERS = ("encode", "tasks")


@dataclass
class Cost:
    """CPU and wall seconds of bare ffmpeg and of the chain, one entry a round, and where the chain's CPU went."""

    bare: list[float] = field(default_factory=list)
    bare_wall: list[float] = field(default_factory=list)
    chain: list[float] = field(default_factory=list)
    chain_wall: list[float] = field(default_factory=list)
    by_program: Seconds = field(default_factory=dict)
    written: list[float] = field(default_factory=list)  # bytes that the workers wrote ÷ those of the package
    memory: int = 0  # bytes that one of the workers' Pythons had in use at most

    @property
    def ratio(self) -> float:
        return sum(self.chain) / sum(self.bare)


def bare_arguments(source: Path, folder: Path) -> list[str]:
    """All renditions in one process with the plan's own encoder settings, as HLS on the disk."""
    renditions = renditions_for(WIDTH, HEIGHT)
    split = f"[0:v:0]split={len(renditions)}" + "".join(f"[in{n}]" for n in range(len(renditions)))
    scaled = [f"[in{n}]scale={each.width}:{each.height}[{each.key}]" for n, each in enumerate(renditions)]
    arguments = ["-y", "-i", str(source), "-filter_complex", ";".join([split, *scaled])]
    for rendition in renditions:
        encoder = ENCODERS[SOFTWARE].arguments_for(PRESET, rendition.bitrate)
        arguments += ["-map", f"[{rendition.key}]", *encoder, "-threads", THREADS, "-g", str(2 * RATE)]
        arguments += _hls(folder / rendition.key)
    audio = ["-map", "0:a:0", "-c:a", "aac", "-ac", "2", "-b:a", f"{audio_bitrate_for(WIDTH, HEIGHT)}k"]
    return [*arguments, *audio, *_hls(folder / "audio")]


def _hls(folder: Path) -> list[str]:
    folder.mkdir()
    return [
        *("-f", "hls", "-hls_time", "6", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4"),
        *("-hls_segment_filename", str(folder / "%05d.m4s"), str(folder / "index.m3u8")),
    ]


def run_bare(installation: Installation, source: Path) -> tuple[float, float]:
    """CPU and wall seconds of one ffmpeg, beside the installation's folder on the same disk."""
    folder = Path(tempfile.mkdtemp(prefix="bare-", dir=installation.data.parent))
    command = [processes.executable(), "-v", "error", "-nostdin", *bare_arguments(source, folder)]
    started = time.monotonic()
    process = subprocess.Popen(command)
    installation.family.waited_for.add(process.pid)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - started
    shutil.rmtree(folder)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_utime + usage.ru_stime, wall


def run_whisper(installation: Installation, source: Path, model: Path) -> tuple[float, float]:
    """CPU and wall seconds of the bare command, which decodes as the worker does: greedily, with words."""
    with tempfile.TemporaryDirectory(prefix="bare-", dir=installation.data.parent) as folder:
        (Path(folder) / "ffmpeg").symlink_to(processes.executable())  # it wants one of that name
        command = [sys.executable, "-m", "whisper.transcribe", str(source), "--model", str(model), "--fp16", "False"]
        command += ["--beam_size", "None", "--best_of", "None", "--verbose", "False", "--output_dir", folder]
        command += ["--threads", THREADS, "--output_format", "vtt", "--word_timestamps", "True"]
        environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
        started = time.monotonic()
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        installation.family.waited_for.add(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        return usage.ru_utime + usage.ru_stime, time.monotonic() - started


def run_captions(installation: Installation, source: Path, title: str, idle: Seconds) -> tuple[Seconds, float]:
    """CPU seconds of the worker that hears and of its processes, and the clock's, from publication to transcript."""
    before, started = installation.family.seconds(), time.monotonic()
    installation.editor.upload(source, title)
    installation.wait_until_public(title)
    published = time.monotonic()
    page = f"/watch/{title}/"
    installation.wait_for(lambda: b'class="transcript"' in (installation.get(page) or b""), "captions", every=2)
    ended = time.monotonic()
    used = less_idle(difference(installation.family.seconds(), before), idle, ended - started)
    return {name: value for name, value in used.items() if name.startswith("transcribe")}, ended - published


def measure_captions(installation: Installation, source: Path, model: Path, rounds: int, idle: Seconds) -> Cost:
    """The bare command and the worker in turn, on the same file and weights."""
    cost = Cost()
    for number in range(rounds):
        title = f"speech-{number}"
        cpu, wall = run_whisper(installation, source, model)
        cost.bare.append(cpu)
        cost.bare_wall.append(wall)
        used, wall = run_captions(installation, source, title, idle)
        cost.chain.append(total(used))
        cost.chain_wall.append(wall)
        for name, value in used.items():
            cost.by_program[name] = cost.by_program.get(name, 0) + value / rounds
        installation.delete_everything()
    return cost


def run_chain(installation: Installation, source: Path, title: str, idle: Seconds) -> tuple[Seconds, float]:
    """CPU seconds of all processes, and the clock's, from the first byte of the upload to the video's publication."""
    before, started = installation.family.seconds(), time.monotonic()
    installation.editor.upload(source, title)
    installation.wait_until_public(title)
    wall = time.monotonic() - started
    used = difference(installation.family.seconds(), before)
    return less_idle(used, idle, wall), wall


def measure_cost(installation: Installation, clip: Clip, rounds: int, idle: Seconds) -> Cost:
    """Bare ffmpeg and the chain in turn, so that whatever else the machine does meets both."""
    source, cost = clip.make(), Cost()
    for number in range(rounds):
        cpu, wall = run_bare(installation, source)
        cost.bare.append(cpu)
        cost.bare_wall.append(wall)
        before = installation.family.written(*WORKERS)
        used, wall = run_chain(installation, source, f"{clip.name}-{number}", idle)
        cost.chain.append(total(used))
        cost.chain_wall.append(wall)
        cost.written.append((installation.family.written(*WORKERS) - before) / installation.package_size())
        cost.memory = max(cost.memory, installation.family.largest(*WORKERS))
        for name, value in used.items():
            cost.by_program[name] = cost.by_program.get(name, 0) + value / rounds
        installation.delete_everything()
    return cost


@dataclass
class Nodes:
    """Seconds from the upload to the publication with one Celery node and with two, each on a core of its own."""

    one: list[float] = field(default_factory=list)
    two: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return sum(self.one) / sum(self.two)


def measure_nodes(installation: Installation, clip: Clip, rounds: int) -> Nodes:
    """The installation's own node encode is stopped: one to two others with one thread each take its place."""
    source, nodes = clip.make(), Nodes()
    with installation.node(core=0):
        for number in range(rounds):
            nodes.one.append(publish(installation, source, f"one-{number}"))
        with installation.node(core=1):
            for number in range(rounds):
                nodes.two.append(publish(installation, source, f"two-{number}"))
    return nodes


def publish(installation: Installation, source: Path, title: str) -> float:
    """Seconds from the last byte of the upload to the publication; then it is deleted."""
    sent = installation.editor.upload(source, title)
    installation.wait_until_public(title, every=0.2)
    wall = time.monotonic() - sent
    installation.delete_everything()
    return wall


def first_segments(installation: Installation, package: str) -> set[str]:
    """The addresses that a player needs for the beginning: of each rendition, init and first segment."""
    addresses = set()
    for playlist in _playlists(_text(installation, f"/media/{package}/master.m3u8")):
        text = _text(installation, f"/media/{package}/{playlist}")
        folder = f"/media/{package}/{playlist.rpartition('/')[0]}"
        segment = next(line for line in text.splitlines() if line and not line.startswith("#"))
        init = re.search(r'#EXT-X-MAP:URI="([^"]+)"', text)
        addresses |= {f"{folder}/{segment}", f"{folder}/{init[1] if init else segment}"}
    return addresses


def _playlists(master: str) -> list[str]:
    named = re.findall(r'#EXT-X-MEDIA:.*URI="([^"]+)"', master)
    return [*named, *(line for line in master.splitlines() if line and not line.startswith("#"))]


def _text(installation: Installation, address: str) -> str:
    content = b""

    def arrived() -> bool:
        nonlocal content
        content = installation.get(address) or b""
        return bool(content)

    installation.wait_for(arrived, address, LOOK_SECONDS)
    return content.decode()


def time_to_play(installation: Installation, source: Path, title: str) -> float:
    """Seconds from the last byte of the upload until every rendition's first segment comes over HTTP."""
    before = installation.packages()
    sent = installation.editor.upload(source, title, early=True)  # so that a viewer may ask for its segments
    installation.wait_for(lambda: bool(installation.packages() - before), "the package", LOOK_SECONDS)
    (package,) = installation.packages() - before
    missing = first_segments(installation, package)

    def all_there() -> bool:
        missing.difference_update({address for address in missing if installation.get(address)})
        return not missing

    installation.wait_for(all_there, "the first segments", LOOK_SECONDS)
    return time.monotonic() - sent


def warm_up(installation: Installation) -> None:
    """Encode something else first: a virtual machine that was idle may have to get its memory back from the host."""
    run_bare(installation, clips.QUICK_FOREIGN.make())


@dataclass
class Latency:
    """Seconds to the first picture, one entry a round, of a short and of a long source."""

    short: list[float] = field(default_factory=list)
    long: list[float] = field(default_factory=list)

    @property
    def medians(self) -> tuple[float, float]:
        return statistics.median(self.short), statistics.median(self.long)

    @property
    def ratio(self) -> float:
        return self.medians[1] / self.medians[0]


def measure_latency(installation: Installation, short: Clip, long: Clip, rounds: int) -> Latency:
    sources, latency = {"short": short.make(), "long": long.make()}, Latency()
    for number in range(rounds):
        for name, times in (("short", latency.short), ("long", latency.long)):
            warm_up(installation)
            times.append(time_to_play(installation, sources[name], f"{name}-{number}"))
            installation.delete_everything()
    return latency
