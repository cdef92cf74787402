"""Checks of published files against the database and the rules of HLS: `manage.py verify_media`."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from transcoding.engine.package import files
from transcoding.engine.package.contents import StoredRendition
from transcoding.engine.plan.plan import Plan
from transcoding.engine.verify import Report, inspect
from videos.models import Video, VideoQuality, VideoQuerySet
from videos.storage.paths import package_dir, package_name, packages, root, source_path, sources

BATCH = 200  # videos whose rows are in memory at once
TOLERANCE = Fraction(1, 10)  # of a bitrate, which may have been measured by an older release
PACKAGE = re.compile(r"(\d+)-([0-9a-f]{32})")


@dataclass(frozen=True)
class Finding:
    """The problems of a video, a sentence each, and what to do about them. advice is empty if there are none."""

    video: Video
    problems: list[str]
    warnings: list[str]
    advice: str


def ready() -> VideoQuerySet:
    """Return the videos that can be checked."""
    return Video.objects.alive().filter(status=Video.Status.READY)


def audit(videos: VideoQuerySet) -> Iterator[Finding]:
    """Yield a finding for each video. Those with problems come last and are checked twice.

    The video may have been archived or have got its captions during the first check.
    """
    suspects = []
    for video in _with_rows(videos):
        finding = _check(video)
        if finding.problems:
            suspects.append(video.pk)
        else:
            yield finding
    if suspects:
        yield from map(_check, _with_rows(ready().filter(pk__in=suspects)))


def _with_rows(videos: VideoQuerySet) -> Iterator[Video]:
    rows = videos.select_related("job", "transcription").prefetch_related("qualities")
    return rows.order_by("pk").iterator(chunk_size=BATCH)


def _check(video: Video) -> Finding:
    package = package_dir(video)
    report = _report(video, package)
    if not report.problems:
        report.problems += _row_problems(video, report.renditions)
    report.problems += _caption_problems(video)
    is_broken, has_source = bool(report.problems), source_path(video).is_file()
    if not has_source:
        report.problems.append(f"its source, {_source(video)}, is missing")
    if package.is_dir() and not (package / "poster.jpg").is_file():
        report.warnings.append("it has no poster")
    if package.is_dir() and not (package / "storyboard.vtt").is_file():
        report.warnings.append("it has no storyboard")
    return Finding(video, report.problems, report.warnings, _advice(video, is_broken=is_broken, has_source=has_source))


def _report(video: Video, package: Path) -> Report:
    job = getattr(video, "job", None)
    if not package.is_dir():
        return Report([f"its folder, media/{package_name(video)}, is missing"])
    if job is None or job.plan is None:
        return Report(["it has no plan to check its files against"])
    try:
        plan = Plan.from_json(job.plan)
    except (KeyError, TypeError, ValueError):
        return Report(["its plan cannot be read by this release"])
    return inspect(package, plan)


def _row_problems(video: Video, renditions: Collection[StoredRendition]) -> Iterator[str]:
    """Yield the differences between the rows of a publication and the files."""
    rungs = {rendition.key: rendition for rendition in renditions if rendition.size}
    rows = {row.quality: row for row in video.qualities.all()}
    yield from (f"its row for {name} is missing" for name in rungs if name not in rows)
    yield from (f"its row for {name} has no files" for name in rows if name not in rungs)
    for name in rungs.keys() & rows.keys():
        yield from _quality_problems(rows[name], rungs[name])
    longest = max(rung.duration for rung in rungs.values())
    if abs(video.duration - longest) > 1 / min(rung.rate for rung in rungs.values()):
        yield f"its row says a duration of {video.duration:.3f} s, but it lasts {float(longest):.3f} s"


def _quality_problems(row: VideoQuality, rung: StoredRendition) -> Iterator[str]:
    if (row.width, row.height) != rung.size:
        yield f"its row for {rung.key} says {row.width}x{row.height}, but it is {'x'.join(map(str, rung.size or ()))}"
    if abs(1000 * row.bitrate - rung.bitrate) > TOLERANCE * rung.bitrate + 1000:
        yield f"its row for {rung.key} says {row.bitrate} kbit/s, but it has {rung.bitrate // 1000}"


def _caption_problems(video: Video) -> Iterator[str]:
    row = getattr(video, "transcription", None)
    if row is not None and row.vtt_path and not (root() / row.vtt_path).is_file():
        yield f"its captions, {row.vtt_path}, are missing"


def _advice(video: Video, *, is_broken: bool, has_source: bool) -> str:
    if is_broken and has_source:
        return f"Restore media/{package_name(video)} from a backup, or upload {_source(video)} again as a new video."
    if is_broken:
        return f"Restore media/{package_name(video)} and {_source(video)} from a backup."
    return "" if has_source else f"The video plays; restore {_source(video)} from a backup."


def _source(video: Video) -> str:
    return f"sources/{video.pk}/{source_path(video).name}"


def orphans() -> list[str]:
    """Return a sentence for each folder without a video, with what to do.

    The folders are listed before the rows are read, because a row exists before its folders. A folder that has
    disappeared since was moved.
    """
    folders = _entries(packages()), _entries(sources())
    keys = dict(Video.objects.alive().values_list("pk", "media_key").iterator())
    found = [
        *((path, _about_package(path.name, keys)) for path in folders[0]),
        *((path, _about_source(path.name, keys)) for path in folders[1]),
    ]
    return [f"{path.parent.name}/{path.name} {about}" for path, about in found if about and path.exists()]


def _entries(folder: Path) -> list[Path]:
    return [folder / name for name in sorted(files.names(folder))]


def _about_package(name: str, keys: dict[int, str]) -> str:
    match = PACKAGE.fullmatch(name)
    if match is None:
        return "is not the folder of a video. Move it elsewhere."
    key = keys.get(int(match[1]))
    if key is None:
        return "belongs to no video outside the archive. Delete it if the sweep does not move it."
    return "" if key == match[2] else "has an old media key. The sweep moves it: make sure that a worker is running."


def _about_source(name: str, keys: dict[int, str]) -> str:
    if name.isdecimal() and int(name) in keys:
        return ""
    return "belongs to no video outside the archive. Delete it if the sweep does not move it."
