"""What sources cost that are not one picture and one sound: a second track, sound alone, slides."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import clips
from benchmarks.installation import Installation
from benchmarks.measures import run_chain, time_to_play, warm_up
from benchmarks.processes import Seconds, total
from transcoding.engine.ffmpeg import processes
from transcoding.engine.plan.sound import ONLY_SOUND

AAC, MP3 = ("-c:a", "aac", "-b:a", "96k"), ("-c:a", "libmp3lame", "-b:a", "128k")
PLANNED = ("-c:a", "aac", "-b:a", f"{ONLY_SOUND}k")


@dataclass
class Sources:
    """CPU seconds of the chain, one entry a round, and seconds of the clock where the name says so.

    bare: of one ffmpeg that encodes the MP3 as the plan does.
    """

    one_track: list[float] = field(default_factory=list)
    two_tracks: list[float] = field(default_factory=list)
    aac_clock: list[float] = field(default_factory=list)
    mp3: list[float] = field(default_factory=list)
    mp3_clock: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    slides: list[float] = field(default_factory=list)
    moving: list[float] = field(default_factory=list)


def measure_sources(installation: Installation, rounds: int, idle: Seconds, *, quick: bool) -> Sources:
    """Publish each kind of source in turn."""
    result, seconds = Sources(), 60 if quick else 3600
    one, two = (clips.QUICK_FOREIGN,) * 2 if quick else (clips.FOREIGN, clips.TWO_TRACKS)
    aac, mp3 = clips.sound(seconds, ".m4a", *AAC).make(), clips.sound(seconds, ".mp3", *MP3).make()
    lectures = [clips.lecture(seconds // 12, moves=moves).make() for moves in (False, True)]
    warm_up(installation)
    for number in range(rounds):
        for clip, found in ((one, result.one_track), (two, result.two_tracks)):
            found.append(_cost(installation, clip.make(), f"track-{number}-{len(found)}-{clip.name}", idle)[0])
        result.aac_clock.append(_cost(installation, aac, f"aac-{number}", idle)[1])
        result.mp3_clock.append(time_to_play(installation, mp3, f"mp3-plays-{number}"))
        installation.delete_everything()
        result.mp3.append(_cost(installation, mp3, f"mp3-{number}", idle)[0])
        result.bare.append(_bare(installation, mp3))
        for file, found in zip(lectures, (result.slides, result.moving), strict=True):
            found.append(_cost(installation, file, f"lecture-{number}-{file.stem}", idle)[0])
    return result


def _cost(installation: Installation, file: Path, title: str, idle: Seconds) -> tuple[float, float]:
    used, wall = run_chain(installation, file, title, idle)
    installation.delete_everything()
    return total(used), wall


def _bare(installation: Installation, file: Path) -> float:
    folder = Path(tempfile.mkdtemp(prefix="bare-", dir=installation.data.parent))
    hls = ("-f", "hls", "-hls_time", "6", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4")
    command = [
        processes.executable(),
        "-v",
        "error",
        "-nostdin",
        "-i",
        str(file),
        *PLANNED,
        *hls,
        str(folder / "a.m3u8"),
    ]
    process = subprocess.Popen(command)
    installation.family.waited_for.add(process.pid)
    _, status, usage = os.wait4(process.pid, 0)
    shutil.rmtree(folder)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage.ru_utime + usage.ru_stime
