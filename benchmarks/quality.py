"""What a preset and a CRF cost and give, for each rung: CPU seconds, bytes and VMAF.

`python -m benchmarks.quality` prints the table of docs/encoding.md; `--peers` compares one decode for all rungs with
one process for each, as others do it.
"""

import argparse
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.clips import SOUND, X264, Clip
from benchmarks.measures import PRESET
from transcoding.engine.codecs.codec import PRESETS
from transcoding.engine.codecs.h264 import ENCODERS, SOFTWARE
from transcoding.engine.ffmpeg import processes
from transcoding.engine.plan.ladder import renditions_for
from transcoding.engine.renditions import VideoRendition

SECONDS = 8
COMPARED = ("superfast", "veryfast", "faster", "medium")
CRFS = (22, 23)
PEERS_PRESET, PEERS_CRF = "medium", 23
SAMPLED = 3  # one frame in so many is compared
# Three kinds of picture: sharp shapes in motion under noise, a slow zoom into fine detail, and soft colours that turn.
SOURCES = {
    "shapes": "testsrc2=size=1920x1080:rate=30,noise=alls=2:allf=t:all_seed=7",
    "zoom": "mandelbrot=size=1920x1080:rate=30:start_scale=0.8:end_scale=0.05:end_pts=400",
    "soft": "gradients=size=1920x1080:rate=30:n=6:speed=0.02:seed=3,noise=alls=6:allf=t:all_seed=5",
}


@dataclass(frozen=True)
class Encoded:
    cpu: float
    size: int
    vmaf: float


def source(name: str) -> Path:
    inputs = ("-f", "lavfi", "-i", SOURCES[name], "-f", "lavfi", "-i", SOUND)
    return Clip(f"quality-{name}", (*inputs, "-t", str(SECONDS), *X264, "-crf", "10", "-g", "250", "-an")).make()


def arguments(rendition: VideoRendition, preset: str, crf: int) -> list[str]:
    """Return the arguments of a rendition, with another preset and CRF where they are given."""
    given = list(ENCODERS[SOFTWARE].arguments_for(PRESET, rendition.bitrate))
    for option, value in (("-preset", preset), ("-crf", str(crf or ""))):
        if value:
            given[given.index(option) + 1] = value
    return [*given, "-force_key_frames", "expr:gte(t,n_forced*2)", "-g", "9999"]


def encode(clip: Path, outputs: list[tuple[VideoRendition, str, int, Path]]) -> float:
    """CPU seconds of one process that makes them all from one decode."""
    split = f"[0:v]split={len(outputs)}" + "".join(f"[i{n}]" for n in range(len(outputs)))
    scaled = [f"[i{n}]scale={each.width}:{each.height},format=yuv420p[o{n}]" for n, (each, *_) in enumerate(outputs)]
    command = ["-y", "-i", str(clip), "-filter_complex", ";".join([split, *scaled])]
    for n, (rendition, preset, crf, target) in enumerate(outputs):
        command += ["-map", f"[o{n}]", *arguments(rendition, preset, crf), str(target)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    processes.run(command, timeout=3600, folder=outputs[0][3].parent)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def vmaf(clip: Path, made: Path) -> float:
    """At the source's size, as on a full screen."""
    graph = (
        "[0:v]scale=1920:1080:flags=bicubic,settb=AVTB,setpts=PTS-STARTPTS[a];[1:v]settb=AVTB,setpts=PTS-STARTPTS[b];"
        f"[a][b]libvmaf=n_subsample={SAMPLED}:n_threads=2"
    )
    command = [processes.executable(), "-hide_banner", "-nostdin", "-i", str(made), "-i", str(clip), "-lavfi", graph]
    done = subprocess.run([*command, "-f", "null", "-"], capture_output=True, text=True, check=True, timeout=3600)
    return float(re.findall(r"VMAF score: ([\d.]+)", done.stderr)[-1])


def measure(clip: Path, rendition: VideoRendition, preset: str, crf: int, folder: Path) -> Encoded:
    target = folder / f"{rendition.key}-{preset}-{crf}.mp4"
    cpu = encode(clip, [(rendition, preset, crf, target)])
    return Encoded(cpu, target.stat().st_size, vmaf(clip, target))


def table(names: list[str], presets: list[str], crfs: list[int]) -> Iterator[str]:
    yield "| clip | rendition | preset | CRF | CPU s | kbit/s | VMAF |"
    yield "|---|---|---|---|---|---|---|"
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            clip = source(name)
            for rendition in renditions_for(1920, 1080):
                for preset, crf in [(preset, crf) for preset in presets for crf in crfs]:
                    found = measure(clip, rendition, preset, crf, Path(folder))
                    rate = 8 * found.size / SECONDS / 1000
                    columns = (name, rendition.key, preset, crf, f"{found.cpu:.1f}", f"{rate:.0f}", f"{found.vmaf:.1f}")
                    yield f"| {' | '.join(map(str, columns))} |"


def peers(names: list[str]) -> Iterator[str]:
    """One decode for all rungs at our settings ÷ one process for each at those of others."""
    yield "| clip | CPU, ours ÷ theirs | rendition | VMAF, ours less theirs | bytes, ours ÷ theirs |"
    yield "|---|---|---|---|---|"
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            clip, renditions = source(name), renditions_for(1920, 1080)
            ours = {rendition: Path(folder) / f"ours-{rendition.key}.mp4" for rendition in renditions}
            theirs = {rendition: Path(folder) / f"theirs-{rendition.key}.mp4" for rendition in renditions}
            cpu = encode(clip, [(rendition, "", 0, target) for rendition, target in ours.items()])
            other = sum(
                encode(clip, [(rendition, PEERS_PRESET, PEERS_CRF, target)]) for rendition, target in theirs.items()
            )
            for rendition in renditions:
                gain = vmaf(clip, ours[rendition]) - vmaf(clip, theirs[rendition])
                size = ours[rendition].stat().st_size / theirs[rendition].stat().st_size
                yield f"| {name} | {cpu / other:.2f} | {rendition.key} | {gain:+.1f} | {size:.2f} |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--clip", choices=SOURCES, action="append", help="default: all")
    parser.add_argument("--preset", choices=PRESETS, action="append", help=f"default: {COMPARED}")
    parser.add_argument("--crf", type=int, action="append", help=f"default: {CRFS}")
    parser.add_argument("--peers", action="store_true", help="compare with one process for each rendition")
    options = parser.parse_args()
    names = options.clip or list(SOURCES)
    lines = peers(names) if options.peers else table(names, options.preset or list(COMPARED), options.crf or list(CRFS))
    for line in lines:
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
