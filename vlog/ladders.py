"""The setting VLOG_LADDER, checked. The ladder itself is in `transcoding.engine.plan.ladder`."""

import re
from collections.abc import Iterator
from itertools import pairwise

from vlog.environment import SettingError

RUNG = re.compile(r"(\d{1,5}):(\d{1,7}):(\d{1,5})", re.ASCII)
MOST_RUNGS, HIGHEST_RUNG = 12, 4320


def parse_ladder(text: str) -> tuple[tuple[int, int, int], ...]:
    """Parse rungs such as `720:2500:128, 360:600:96`: lines, kbit/s of the video, kbit/s of the audio.

    The highest comes first, in whatever order they are given; none for an empty text. Raises SettingError.
    """
    words = text.replace(",", " ").split()
    matches = [RUNG.fullmatch(word) for word in words]
    wrong = ", ".join(repr(word) for word, match in zip(words, matches, strict=True) if match is None)
    if wrong:
        raise SettingError(
            "VLOG_LADDER must be rungs such as 720:2500:128 (lines, kbit/s of video, kbit/s of audio), separated by "
            f"commas; it has {wrong}"
        )
    rungs = sorted(((int(match[1]), int(match[2]), int(match[3])) for match in matches if match), reverse=True)
    for problem in _ladder_problems(rungs):
        raise SettingError(f"VLOG_LADDER: {problem}")
    return tuple(rungs)


def _ladder_problems(rungs: list[tuple[int, int, int]]) -> Iterator[str]:
    """Yield what is wrong with a ladder, the highest rung first."""
    if len(rungs) > MOST_RUNGS:
        yield f"{len(rungs)} rungs are too many, {MOST_RUNGS} are the most"
    for rung in rungs:
        yield from _rung_problems(*rung)
    for (upper, upper_bitrate, upper_audio), (lower, bitrate, audio) in pairwise(rungs):
        if upper == lower:
            yield f"{lower} lines occur twice"
        if bitrate > upper_bitrate or audio > upper_audio:
            yield f"{lower} lines must not have more kbit/s than {upper} lines"


def _rung_problems(lines: int, bitrate: int, audio: int) -> Iterator[str]:
    if lines % 2 or not 2 <= lines <= HIGHEST_RUNG:
        yield f"a rung must have an even number of lines from 2 to {HIGHEST_RUNG}, not {lines}"
    if not 50 <= bitrate <= 200_000:
        yield f"the video of a rung must have from 50 to 200000 kbit/s, not {bitrate}"
    if not 32 <= audio <= 192:
        yield f"the audio of a rung must have from 32 to 192 kbit/s, not {audio}"
