"""Argument lists for ffmpeg that decode audio and say how loud it is. Pure."""

from collections.abc import Sequence
from pathlib import Path

from transcoding.engine.ffmpeg.inputs import input_arguments, thread_arguments
from transcoding.engine.plan.plan import Plan
from transcoding.engine.renditions import AudioRendition

BLOCKS_A_SECOND = 10  # values of momentary loudness (EBU Tech 3341), each of 400 ms
_KEY = "lavfi.r128.M"
_MEASURE = f"ebur128=metadata=1,ametadata=mode=print:key={_KEY}:file=-"
EARLY = 1.0  # seconds by which reading begins before a part


def rendition_arguments(file: Path) -> list[str]:
    """Return the arguments that decode an MP4 of ours, and end with an error where anything cannot be decoded."""
    opened = ("-protocol_whitelist", "file", "-f", "mp4", "-i", f"file:{file}")
    return ["-xerror", *thread_arguments(1), *opened, "-af", _MEASURE, "-f", "null", "-"]


def source_arguments(plan: Plan, rendition: AudioRendition, source: str, start: float, seconds: float) -> list[str]:
    """Return the arguments that decode a part of the source's track from start on, in seconds after time zero.

    Sources without pictures, and those whose clock jumps, are read from their beginning.
    """
    seekable = plan.video and not plan.jumps
    begin = float(rendition.zero) + start
    # By the times of the samples: after a seek, options would count from whatever comes first.
    part = ("-af", f"atrim=start={begin:.3f}:end={begin + seconds:.3f},{_MEASURE}", "-f", "null", "-")
    seek = ("-noaccurate_seek", "-ss", f"{max(0.0, start - EARLY):.3f}") if seekable else ()
    opened = [*thread_arguments(1), "-copyts", *seek, *input_arguments(source, plan.jumps, rendition.search)]
    return [*opened, "-map", f"0:{rendition.stream}", *part]


def levels(output: bytes) -> list[float]:
    """Return the momentary loudness of each tenth of a second, in LUFS, from what ffmpeg printed."""
    lines: Sequence[bytes] = output.splitlines()
    return [float(value) for key, _, value in (line.partition(b"=") for line in lines) if key == _KEY.encode()]
