"""Pictures of a video: its poster."""

import secrets
from pathlib import Path

from transcoding import ffmpeg
from transcoding.commands import poster_arguments
from transcoding.package import UNFINISHED
from transcoding.plan import Plan

PATIENCE = 120  # seconds for one keyframe


def poster(plan: Plan, source: Path, target: Path) -> None:
    """Write a JPEG of a keyframe a tenth into the video, whole or not at all; raises FfmpegError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{secrets.token_hex(4)}{UNFINISHED}")
    seek = plan.seeks[plan.timeline.index_of(plan.timeline.end // 10)]
    try:
        ffmpeg.run(poster_arguments(str(source), plan.stream, plan.look, seek, part), timeout=PATIENCE)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
