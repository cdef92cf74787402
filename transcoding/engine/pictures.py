"""Pictures of a video: posters, and the storyboard that the player shows above its time range."""

import math
import secrets
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from transcoding.engine.codecs.h264 import config
from transcoding.engine.ffmpeg import processes
from transcoding.engine.ffmpeg.processes import FfmpegError, Limits
from transcoding.engine.ffmpeg.stills import (
    JUDGED,
    cover_arguments,
    frame_arguments,
    logo_arguments,
    poster_arguments,
    storyboard_arguments,
    upload_arguments,
    waveform_arguments,
)
from transcoding.engine.formats import boxes, h264
from transcoding.engine.formats.boxes import Sample
from transcoding.engine.formats.webvtt import clock
from transcoding.engine.package.contents import segment_name, segments_there
from transcoding.engine.package.files import UNFINISHED
from transcoding.engine.plan.plan import Plan

PATIENCE = 30  # seconds for one keyframe, or for all those of a storyboard
FIRST_LOOKS = (Fraction(1, 10), Fraction(3, 10), Fraction(6, 10))  # of the video
CANDIDATES = 8
ALL_CANDIDATES = 120  # seconds; the choice is made from those found by then
UPLOADED = Limits(memory=1 << 30, cpu=10)

DARK, BRIGHT = 32, 235  # of 255: about where nothing can be told apart any more
MOST_EXTREME, LEAST_CONTRAST, LEAST_SHARPNESS = 0.85, 10.0, 0.8

INTERVAL = 2  # seconds between the tiles of a storyboard, at least
MOST_TILES = 200  # about; a longer video has them further apart
TILE_WIDTH, TILE_HEIGHT = 160, 320  # pixels; the width, and the height at most
COLUMNS, ROWS = 10, 10
NO_STREAM = "matches no streams"  # what ffmpeg logs of a source without a cover
UNREADABLE_COVER = (
    "The cover of the file is damaged or too large, so the poster is the waveform. You may choose another."
)
SIGNATURES = {b"\xff\xd8\xff": "jpeg_pipe", b"\x89PNG\r\n\x1a\n": "png_pipe"}


class NotAPicture(ValueError):
    """What was sent as a poster is none; the message says what to send."""


@dataclass(frozen=True)
class Picture:
    """A poster, and how good it is: extreme is the share of black and white, contrast the deviation of brightness
    (0 to 127), sharpness the mean difference of a pixel to its neighbours (0 to 255).
    """

    jpeg: bytes
    extreme: float
    contrast: float
    sharpness: float

    @property
    def is_dull(self) -> bool:
        extreme = self.extreme > MOST_EXTREME
        return extreme or self.contrast < LEAST_CONTRAST or self.sharpness < LEAST_SHARPNESS

    @property
    def score(self) -> float:
        """A product, for what is lacking in one cannot be made good by the others."""
        return (1 - self.extreme) * self.contrast * math.sqrt(self.sharpness)


@dataclass(frozen=True)
class Storyboard:
    """Sheets of tiles, and the WebVTT that tells which tile shows which moment."""

    vtt: str
    sheets: tuple[bytes, ...]


def poster(plan: Plan, source: str, folder: Path) -> Picture:
    """The first poster, of a keyframe a tenth into the video or, where that is dull, of a later one.

    Files in between go into the folder. Raises FfmpegError.
    """
    return best(_first_looks(plan, source, folder))


def _first_looks(plan: Plan, source: str, folder: Path) -> Iterator[Picture]:
    for picture in _pictures(plan, source, folder, FIRST_LOOKS):
        yield picture
        if not picture.is_dull:
            return


def candidates(plan: Plan, source: str, folder: Path, check: Callable[[], None]) -> list[Picture]:
    """Keyframes from all over the video, in order; check is called between them and may raise.

    Raises FfmpegError where there is none at all.
    """
    places, found = [Fraction(2 * number + 1, 2 * CANDIDATES) for number in range(CANDIDATES)], []
    end = time.monotonic() + ALL_CANDIDATES
    for picture in _pictures(plan, source, folder, places):
        found.append(picture)
        check()
        if time.monotonic() > end:
            break
    return found


def best(pictures: Iterable[Picture]) -> Picture:
    return max(pictures, key=lambda picture: picture.score)


def _pictures(plan: Plan, source: str, folder: Path, places: Iterable[Fraction]) -> Iterator[Picture]:
    """The keyframes at some parts of the video, each once; those that cannot be decoded are left out.

    Raises FfmpegError where none can be.
    """
    error: FfmpegError | None = None
    found = 0
    for seek in dict.fromkeys(plan.seeks[plan.timeline.index_of(int(plan.timeline.end * place))] for place in places):
        try:
            yield _take(plan, source, folder, seek)
            found += 1
        except FfmpegError as failure:
            error = failure
    if error is not None and not found:
        raise error


def _take(plan: Plan, source: str, folder: Path, seek: float | None) -> Picture:
    part = folder / f".{secrets.token_hex(4)}{UNFINISHED}"
    try:
        gray = processes.run(poster_arguments(plan, source, seek, part), timeout=PATIENCE, folder=folder, nice=True)
        if not part.is_file() or len(gray) < JUDGED[0] * JUDGED[1]:
            raise FfmpegError("there is no keyframe that can be decoded")
        return judge(part.read_bytes(), gray)
    finally:
        part.unlink(missing_ok=True)


def judge(jpeg: bytes, gray: bytes) -> Picture:
    """How good a picture is, by its brightness alone: JUDGED pixels of a byte each, line by line."""
    levels, size = Counter(gray), len(gray)
    mean = sum(level * number for level, number in levels.items()) / size
    variance = sum((level - mean) ** 2 * number for level, number in levels.items()) / size
    extreme = sum(number for level, number in levels.items() if level < DARK or level > BRIGHT) / size
    return Picture(jpeg, extreme, math.sqrt(variance), _sharpness(gray, JUDGED[0]))


def _sharpness(gray: bytes, width: int) -> float:
    """The mean of the Laplacian's absolute value."""
    rows = [gray[start : start + width] for start in range(0, len(gray), width)]
    total = sum(_edges(above, row, below) for above, row, below in zip(rows, rows[1:], rows[2:], strict=False))
    return total / ((width - 2) * (len(rows) - 2))


def _edges(above: bytes, row: bytes, below: bytes) -> int:
    around = zip(row[1:], row, row[2:], above[1:], below[1:], strict=False)
    return sum(abs(4 * here - left - right - up - down) for here, left, right, up, down in around)


def of_sound(plan: Plan, source: str, folder: Path) -> tuple[bytes, tuple[str, ...]]:
    """Return the poster of a source of sound alone, and warnings for the editor.

    It is the cover, or where none can be read, the waveform. Raises FfmpegError.
    """
    warnings: tuple[str, ...] = ()
    part = folder / f".{secrets.token_hex(4)}{UNFINISHED}"
    try:
        processes.run(cover_arguments(source, part), timeout=PATIENCE, folder=folder, nice=True, limits=UPLOADED)
    except FfmpegError as error:
        part.unlink(missing_ok=True)
        if NO_STREAM not in str(error):
            warnings = (UNREADABLE_COVER,)
    if not part.is_file():
        arguments = waveform_arguments(source, plan.audio[0].stream, part)
        processes.run(arguments, timeout=PATIENCE, folder=folder, nice=True)
    try:
        return part.read_bytes(), warnings
    except FileNotFoundError as error:
        raise FfmpegError("no picture can be made of this sound") from error
    finally:
        part.unlink(missing_ok=True)


def from_upload(file: Path, folder: Path) -> bytes:
    """Return an uploaded picture as a JPEG of our size; raises NotAPicture."""
    return _made_of_upload(upload_arguments, file, folder)


def logo_from_upload(file: Path, folder: Path) -> bytes:
    """Return an uploaded picture as a small PNG; raises NotAPicture."""
    return _made_of_upload(logo_arguments, file, folder)


def _made_of_upload(arguments: Callable[[str, str, Path], list[str]], file: Path, folder: Path) -> bytes:
    with file.open("rb") as opened:
        head = opened.read(8)
    demuxer = next((name for signature, name in SIGNATURES.items() if head.startswith(signature)), None)
    if demuxer is None:
        raise NotAPicture("This file is neither a JPEG nor a PNG. Choose a picture of one of these.")
    part = folder / f".{secrets.token_hex(4)}{UNFINISHED}"
    try:
        processes.run(arguments(demuxer, str(file), part), timeout=PATIENCE, folder=folder, limits=UPLOADED)
        return part.read_bytes()
    except (FfmpegError, FileNotFoundError) as error:
        raise NotAPicture("This picture cannot be read. Save it again as a JPEG, and send that.") from error
    finally:
        part.unlink(missing_ok=True)


def frame(rendition: Path, at: float, folder: Path) -> bytes:
    """Return the frame of a published rendition that a player shows at a second, as a poster.

    Raises FfmpegError, BrokenBoxes, FileNotFoundError.
    """
    head = (rendition / "init.mp4").read_bytes()
    timescale = boxes.read_init(head).timescale
    path, start, end = _segment_at(rendition, at, timescale)
    part, target = folder / "part.mp4", folder / f"frame{UNFINISHED}"
    part.write_bytes(head + path.read_bytes())
    offset = min(max(at - start, 0.0), end - start)
    processes.run(frame_arguments(part, offset, target), timeout=PATIENCE, folder=folder, nice=True)
    return target.read_bytes()


def _segment_at(rendition: Path, at: float, timescale: int) -> tuple[Path, float, float]:
    """Return the segment that contains a second, and the seconds at which it begins and ends."""
    paths = [rendition / segment_name(index) for index in sorted(segments_there(rendition))]
    if not paths:
        raise FileNotFoundError(f"{rendition} has no segments")

    def start(path: Path) -> float:
        return boxes.scan_fragments(path)[0].start / timescale

    path = paths[max(bisect_right(paths, at, key=start) - 1, 0)]
    last = boxes.scan_fragments(path)[-1]
    return path, start(path), (last.start + last.duration) / timescale


def storyboard(rendition: Path, folder: Path) -> Storyboard:
    """The storyboard of a published rendition; files in between go into the folder, which is the caller's to remove.

    Only the IDR pictures that are shown are read. Raises FfmpegError, BrokenBoxes, BrokenStream, FileNotFoundError.
    """
    track = boxes.read_init((rendition / "init.mp4").read_bytes())
    description, stream = h264.read_description(config(track.entry)), folder / "pictures.h264"
    times: list[Fraction] = []
    with stream.open("wb") as file:
        for start, sample in _sparse(rendition, track.timescale):
            file.write(h264.annex_b(sample, description))
            times.append(start)
    tile, grid = tile_size(*track.size), _grid(len(times))
    arguments = storyboard_arguments(stream, tile, grid, folder / "sheet-%03d.jpg")
    shown = len(processes.run(arguments, timeout=PATIENCE, folder=folder, nice=True))
    if shown != len(times):
        raise FfmpegError(f"of {len(times)} pictures for the storyboard, {shown} could be decoded")
    end = _end(rendition, track.timescale)
    sheets = tuple(path.read_bytes() for path in sorted(folder.glob("sheet-*.jpg")))
    return Storyboard(_storyboard_vtt([*times, end], tile, grid), sheets)


def sheet_name(number: int) -> str:
    return f"storyboard-{number:03}.jpg"


def _sparse(rendition: Path, timescale: int) -> Iterator[tuple[Fraction, Sample]]:
    """The first IDR picture of each interval, with its time in seconds."""
    interval = max(Fraction(INTERVAL), _end(rendition, timescale) / MOST_TILES)
    due = Fraction(0)
    for index in sorted(segments_there(rendition)):
        for fragment, sample in boxes.read_segment(rendition / segment_name(index)):
            start = Fraction(fragment.start, timescale)
            if start >= due - interval / 4:  # a keyframe may be a little early
                yield start, sample
                due = (round(start / interval) + 1) * interval


def _end(rendition: Path, timescale: int) -> Fraction:
    """The second at which a rendition ends."""
    last = boxes.scan_fragments(rendition / segment_name(max(segments_there(rendition))))[-1]
    return Fraction(last.start + last.duration, timescale)


def tile_size(width: int, height: int) -> tuple[int, int]:
    """Pixels of a tile for a picture of so many; both even, as JPEG's halved colours want it."""
    scale = min(Fraction(TILE_WIDTH, width), Fraction(TILE_HEIGHT, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _grid(tiles: int) -> tuple[int, int]:
    """Columns and rows of each sheet."""
    columns = min(COLUMNS, tiles)
    return columns, min(ROWS, -(-tiles // columns))


def _storyboard_vtt(times: list[Fraction], tile: tuple[int, int], grid: tuple[int, int]) -> str:
    """times: when each tile begins, and when the last one ends."""
    cues = [
        f"{clock(float(start))} --> {clock(float(end))}\n{_address(number, tile, grid)}\n"
        for number, (start, end) in enumerate(pairwise(times))
    ]
    return "\n".join(["WEBVTT\n", *cues])


def _address(number: int, tile: tuple[int, int], grid: tuple[int, int]) -> str:
    sheet, place = divmod(number, grid[0] * grid[1])
    row, column = divmod(place, grid[0])
    return f"{sheet_name(sheet)}#xywh={column * tile[0]},{row * tile[1]},{tile[0]},{tile[1]}"
