"""Test clips, made by ffmpeg's own sources, and a way to tell their frames apart."""

import io
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from transcoding.engine.contract import INIT, Assignment
from transcoding.engine.encode import encode
from transcoding.engine.ffmpeg import processes
from transcoding.engine.package import files, playlists
from transcoding.engine.package.contents import read_rendition, segment_name
from transcoding.engine.plan import ladder
from transcoding.engine.plan.media import MediaInfo
from transcoding.engine.plan.plan import Plan, make_plan
from transcoding.engine.source.probe import read_media

LADDER = ladder.LADDER[:-1]  # that of the tests' settings; most clips have 360 lines, and are made in one rendition
BITS = 16  # a frame carries its number as black and white columns
WIDTH, HEIGHT = 640, 360
COLUMN = WIDTH // BITS

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-sc_threshold", "0", "-pix_fmt", "yuv420p")
MPEG4 = ("-c:v", "mpeg4", "-q:v", "5")  # quickly made, and never copied
AAC = ("-c:a", "aac", "-b:a", "96k", "-ac", "2")


def make(target: Path, *arguments: str, data: bytes | None = None) -> Path:
    """Run ffmpeg on the arguments, then the target."""
    command = [processes.executable(), "-v", "error", "-y", *arguments, str(target)]
    subprocess.run(command, input=data, check=True, capture_output=True)
    return target


def numbered_frame(number: int, height: int = HEIGHT) -> bytes:
    column = COLUMN * height // HEIGHT
    row = b"".join((b"\xeb" if number >> bit & 1 else b"\x10") * column for bit in range(BITS))
    return row * height


def numbered(target: Path, frames: int, rate: str, *arguments: str, height: int = HEIGHT) -> Path:
    """Frames that carry their numbers, with a tone; arguments say how they are encoded and packed."""
    drawn = height if COLUMN * height % HEIGHT == 0 and height < HEIGHT else HEIGHT
    size = () if height == drawn else ("-vf", f"scale=-2:{height}:flags=neighbor")
    seconds = float(frames / Fraction(rate))
    return make(
        target,
        *("-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{WIDTH * drawn // HEIGHT}x{drawn}", "-r", rate, "-i", "pipe:0"),
        *("-f", "lavfi", "-i", f"sine=440:sample_rate=48000:duration={seconds}"),
        *size,
        *(arguments or (*H264, *AAC)),
        data=b"".join(numbered_frame(number, drawn) for number in range(frames)),
    )


def read_numbers(data: bytes) -> Iterator[tuple[int, Fraction]]:
    """The number that each frame of a fragmented MP4 carries, and its time in seconds."""
    with av.open(io.BytesIO(data), mode="r") as container:
        for frame in container.decode(video=0):
            plane = frame.planes[0]
            width, line = frame.width, bytes(plane)[plane.line_size * (frame.height // 2) :]
            levels = [line[(2 * bit + 1) * width // (2 * BITS)] for bit in range(BITS)]
            number = sum((level > 128) << bit for bit, level in enumerate(levels))
            yield number, Fraction(frame.pts or 0) * (frame.time_base or 0)


def changed(plan: Plan, key: str, **facts: Any) -> Plan:
    """Return the plan with other facts of one rendition."""
    return replace(plan, renditions=tuple(replace(r, **facts) if r.key == key else r for r in plan.renditions))


def plan_of(media: MediaInfo) -> Plan:
    """Return the plan of a source, by the quickest preset."""
    return make_plan(media, encoder="libx264", preset="ultrafast", ffmpeg=processes.version(), ladder=LADDER)


def encoded(source: Path) -> tuple[Plan, dict[tuple[str, int], bytes]]:
    """Return the plan of a source, and all segments that are made of it, by key and number."""
    plan = plan_of(read_media(source))
    (audio,) = plan.audio
    made: dict[tuple[str, int], bytes] = {}
    for kind, timeline in (("video", plan.timeline), ("audio", audio.timeline)):
        chunk = Assignment(1, 1, kind, source.name, str(source), plan, 0, len(timeline) - 1)
        encode(chunk, lambda name, index, data: made.update({(name, index): data}), lambda: None)
    return plan, made


def packaged(source: Path, package: Path) -> Plan:
    """Make all renditions of a source in this folder, with their measured playlists, and return the plan."""
    plan = plan_of(read_media(source))

    def deliver(key: str, index: int, data: bytes) -> None:
        files.store(package / key / ("init.mp4" if index == INIT else segment_name(index)), data)

    for kind, tier in dict.fromkeys((each.kind, each.tier) for each in plan.renditions):
        timeline = plan.timeline_of(plan.together(kind, tier)[0])
        encode(
            Assignment(1, 1, kind, source.name, str(source), plan, 0, len(timeline) - 1, tier), deliver, lambda: None
        )
    for rendition in plan.renditions:
        playlist = playlists.media_playlist(read_rendition(package / rendition.key).seconds())
        files.store(package / rendition.key / "index.m3u8", playlist.encode())
    return plan
