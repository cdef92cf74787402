"""How loud a published video is, for the waveform of the desk: made from the package, a part at a time."""

import sys
from array import array
from base64 import b64decode, b64encode
from pathlib import Path

from django.core.cache import cache

from transcoding.engine.ffmpeg import processes
from transcoding.engine.ffmpeg.processes import FfmpegError, Limits
from transcoding.engine.package.contents import segment_name
from transcoding.engine.plan.plan import Plan
from transcoding.engine.renditions import AudioRendition
from transcoding.models import TranscodingJob
from videos.models import Video
from videos.storage.paths import package_dir, package_name, scratch

PART = 300  # seconds
RATE = 50  # peaks a second
SAMPLES = 8000  # a second; more than enough to see words
KEPT_SECONDS = 30 * 24 * 3600
EMPTY_SECONDS = 60  # of a part that could not be made
TIMEOUT = 60  # seconds for one part
LIMITS = Limits(memory=2 << 30, cpu=30)
LOCK = "peaks-lock:{}"  # which parts are being made: each once, and a few in all
AT_ONCE = 2


class NoSound(Exception):
    """The video has no such part, no package or no audio."""


class NotYet(Exception):
    """The part is being made, or others are."""


def of_part(video: Video, part: int) -> bytes:
    """Return a part of PART seconds as bytes, RATE of them a second: the loudest sample, 0 to 255.

    Raises NoSound and NotYet.
    """
    key = f"peaks:{package_name(video)}:{part}"
    kept = cache.get(key)  # the cache holds JSON
    if kept is None:
        kept = b64encode(_made(video, part)).decode()
        cache.set(key, kept, KEPT_SECONDS if kept else EMPTY_SECONDS)
    if not kept:
        raise NoSound
    return b64decode(kept)


def _made(video: Video, part: int) -> bytes:
    slot = next((slot for slot in range(AT_ONCE) if cache.add(LOCK.format(slot), part, TIMEOUT)), None)
    if slot is None:
        raise NotYet
    try:
        return _decoded(video, part)
    except (FileNotFoundError, FfmpegError):
        return b""
    finally:
        cache.delete(LOCK.format(slot))


def _decoded(video: Video, part: int) -> bytes:
    job = TranscodingJob.objects.filter(video=video, plan__isnull=False).first()
    rendition = next(iter(Plan.from_json(job.plan or {}).audio), None) if job else None
    if rendition is None:
        raise NoSound
    timeline, folder = rendition.timeline, package_dir(video) / rendition.key
    first, last = (timeline.index_of(int(second / timeline.unit)) for second in (part * PART, (part + 1) * PART))
    last = min(last, len(timeline) - 1)
    if first > last:
        raise NoSound
    names = ["init.mp4", *(segment_name(index) for index in range(max(first, 0), last + 1))]
    with scratch() as name:
        path = Path(name) / "part.mp4"
        with path.open("wb") as file:
            for each in names:
                file.write((folder / each).read_bytes())
        samples = processes.run(_arguments(path), timeout=TIMEOUT, nice=True, limits=LIMITS)
    return _peaks(samples, skipped=part * PART - _start_of(rendition, max(first, 0)))


def _arguments(path: Path) -> list[str]:
    return [
        *("-v", "error", "-threads", "1", "-i", str(path), "-map", "0:a:0"),
        *("-ac", "1", "-ar", str(SAMPLES), "-c:a", "pcm_s16le", "-f", "s16le", "pipe:1"),
    ]


def _start_of(rendition: AudioRendition, index: int) -> float:
    return float(rendition.timeline.starts[index] * rendition.timeline.unit)


def _peaks(samples: bytes, *, skipped: float) -> bytes:
    """Return the peaks of 16-bit samples after some skipped seconds; the root shows quiet speech, too."""
    values, width = array("h"), SAMPLES // RATE
    values.frombytes(samples[: len(samples) // 2 * 2])
    if sys.byteorder == "big":
        values.byteswap()
    begin = round(skipped * SAMPLES)
    end = min(len(values), begin + PART * SAMPLES) // width * width
    blocks = (values[at : at + width] for at in range(begin, end, width) if at + width <= end)
    return bytes(min(255, round((max(*block, -min(block)) / 32768) ** 0.5 * 255)) for block in blocks)
