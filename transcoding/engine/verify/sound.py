"""Whether the audio of a package can be decoded, how loud it is, and whether it is silent where the source is not."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from transcoding.engine.ffmpeg import listening, processes
from transcoding.engine.ffmpeg.listening import BLOCKS_A_SECOND
from transcoding.engine.ffmpeg.processes import FfmpegError
from transcoding.engine.package import files
from transcoding.engine.package.contents import segment_name
from transcoding.engine.plan.plan import Plan
from transcoding.engine.renditions import AudioRendition
from transcoding.engine.timeline import Timeline

PART, MOST_PARTS = 50, 6  # segments that are decoded at a time, about five minutes; and how many times
SAMPLE, SAMPLES = 10, 10  # of longer audio, unless its loudness has to be exact
EMPTY = 24  # bytes; no frame with any sound takes as little from VLog's encoder, with its entry in the boxes
PATIENCE = 300  # seconds for a part; one takes some
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0  # LUFS, and LU below the mean; ITU-R BS.1770-4
SILENT, AUDIBLE = -65.0, -50.0  # LUFS; in between, lossy coding may decide either way
LONG_SILENCE = 4  # seconds; what is silent for less is not compared with the source
COMPARED, MOST_COMPARED = 2.0, 6  # seconds of the source, at so many places


@dataclass(frozen=True)
class Heard:
    """An audio rendition as it sounds. levels: the momentary loudness of each tenth of a second decoded, in LUFS."""

    key: str
    levels: tuple[float, ...]
    problem: str = ""  # why it cannot be published

    @property
    def loudness(self) -> float | None:
        """The integrated loudness in LUFS (EBU R 128), None of silence."""
        return integrated(self.levels)


def integrated(levels: Sequence[float]) -> float | None:
    """Return the gated mean of momentary loudness, as ITU-R BS.1770-4 defines it; None where all is silent."""
    powers = [10 ** (level / 10) for level in levels if level > ABSOLUTE_GATE]
    if not powers:
        return None
    gate = sum(powers) / len(powers) * 10 ** (RELATIVE_GATE / 10)
    kept = [power for power in powers if power > gate]
    return round(10 * math.log10(sum(kept) / len(kept)), 1)


def listen(  # noqa: PLR0913 - a package, what it is made of, and how
    package: Path, plan: Plan, source: str, folder: Path, check: Callable[[], None], *, exactly: bool = False
) -> list[Heard]:
    """Decode every audio rendition of a package, and compare long silences with the source.

    Of one that is longer than half an hour, ten minutes are decoded (exactly: half an hour): what is copied is decoded
    whole on its way, and what is encoded comes from VLog's encoder, whose silence shows in the sizes of its segments.
    Files in between go into the folder. check is called after some minutes of each rendition, and may raise.
    """
    return [_hear(package, plan, rendition, source, folder, check, exactly) for rendition in plan.audio]


def _hear(  # noqa: PLR0913 - as listen, with the rendition
    package: Path,
    plan: Plan,
    rendition: AudioRendition,
    source: str,
    folder: Path,
    check: Callable[[], None],
    exactly: bool,
) -> Heard:
    found: list[float] = []
    silences = [] if rendition.copied else list(_empty(package / rendition.key, rendition.timeline))
    for segments in parts(len(rendition.timeline), exactly=exactly):
        try:
            levels = _levels(package / rendition.key, segments, folder)
        except FfmpegError as error:
            return Heard(rendition.key, tuple(found), f"{rendition.key} cannot be decoded: {_reason(error)}")
        begin = float(rendition.timeline.starts[segments[0]] * rendition.timeline.unit)
        silences += [(begin + first, begin + last) for first, last in _silences(levels)]
        found += levels
        check()
    missing = next(_lost(plan, rendition, source, silences), None)
    problem = "" if missing is None else f"{rendition.key} is silent at {_clock(missing)}, where the source is not"
    return Heard(rendition.key, tuple(found), problem)


def parts(segments: int, *, exactly: bool = False) -> list[range]:
    """Return which of so many segments are decoded: runs that lie evenly over the whole length."""
    size, most = (PART, MOST_PARTS) if exactly or segments <= PART * MOST_PARTS else (SAMPLE, SAMPLES)
    count = -(-segments // size)
    made = min(count, most)
    chosen = [round(number * (count - 1) / max(1, made - 1)) for number in range(made)]
    return [range(size * part, min(size * (part + 1), segments)) for part in chosen]


def _empty(rendition: Path, timeline: Timeline) -> Iterator[tuple[float, float]]:
    """Yield when each run of segments without any sound begins and ends, in seconds."""
    sizes = files.sizes(rendition)
    silent = [sizes.get(segment_name(index), 0) < EMPTY * timeline.length(index) for index in range(len(timeline))]
    for is_silent, run in groupby(range(len(timeline)), key=silent.__getitem__):
        if is_silent:
            first, *rest = run
            begin, end = timeline.starts[first], timeline.bounds(first + len(rest))[1]
            yield float(begin * timeline.unit), float(end * timeline.unit)


def _levels(rendition: Path, segments: Sequence[int], folder: Path) -> list[float]:
    """Decode some segments."""
    joined = folder / f"{rendition.name}.mp4"
    paths = [rendition / "init.mp4", *(rendition / segment_name(index) for index in segments)]
    with joined.open("wb") as file:
        for data in files.over(rendition, Path.read_bytes, paths):
            file.write(data)
    try:
        return listening.levels(processes.run(listening.rendition_arguments(joined), timeout=PATIENCE))
    finally:
        joined.unlink()


def _reason(error: FfmpegError) -> str:
    return str(error).splitlines()[-1][:200]


def _lost(
    plan: Plan, rendition: AudioRendition, source: str, silences: Sequence[tuple[float, float]]
) -> Iterator[float]:
    """Yield the seconds at which a rendition is silent for long and its source is not."""
    longest = sorted(silences, key=lambda span: span[0] - span[1])[:MOST_COMPARED]
    for first, last in longest:
        middle = (first + last - COMPARED) / 2
        if _is_audible(plan, rendition, source, middle):
            yield middle


def _silences(levels: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Yield when each long silence begins and ends, in seconds after the first of the levels."""
    position = 0
    for silent, blocks in groupby(level < SILENT for level in levels):
        length = len(list(blocks))
        if silent and length >= LONG_SILENCE * BLOCKS_A_SECOND:
            yield position / BLOCKS_A_SECOND, (position + length) / BLOCKS_A_SECOND
        position += length


def _is_audible(plan: Plan, rendition: AudioRendition, source: str, start: float) -> bool:
    """Return whether the source's track has sound there; what cannot be decoded has none."""
    arguments = listening.source_arguments(plan, rendition, source, start, COMPARED)
    try:
        found = listening.levels(processes.run(arguments, timeout=PATIENCE))
    except FfmpegError:
        return False
    audible = [level for level in found if level > AUDIBLE]
    return len(audible) > len(found) / 2


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
