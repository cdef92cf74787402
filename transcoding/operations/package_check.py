"""Checks of published files against the database and the rules of HLS: `manage.py verify_media`."""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from transcoding.engine.package.contents import StoredRendition
from transcoding.engine.plan.plan import Plan
from transcoding.engine.verify import Report, inspect
from transcoding.steps import imported
from transcoding.steps.audio_tracks import described
from videos.models import Video, VideoQuality, VideoQuerySet
from videos.storage import placement
from videos.storage.paths import is_unmoved, package_dir, package_name, root, source_path

BATCH = 200  # videos whose rows are in memory at once
TOLERANCE = Fraction(1, 10)  # of a bitrate, which may have been measured by an older release
UNMOVED = "is on this machine's disk and not in the object store"
MOVING = 10  # further checks of a video whose files are being moved
PAUSE = 0.5  # seconds between two of them


@dataclass(frozen=True)
class Finding:
    """The problems of a video, a sentence each, and what to do about them. advice is empty if there are none."""

    video: Video
    problems: list[str]
    warnings: list[str]
    advice: str


def ready() -> VideoQuerySet:
    """Return the videos that can be checked."""
    return Video.objects.not_archived().listed().filter(status=Video.Status.READY)


def audit(videos: VideoQuerySet) -> Iterator[Finding]:
    """Yield a finding for each video. Those with problems come last and are checked twice.

    A video that got its captions or whose files were moved during the check is checked again.
    """
    suspects = []
    for video in _with_rows(videos):
        finding = _check(video)
        if finding.problems:
            suspects.append(video.pk)
        else:
            yield finding
    for number in range(MOVING if suspects else 0):
        findings = [_check(video) for video in _with_rows(ready().filter(pk__in=suspects))]
        stayed = placement.unmoved_since([finding.video for finding in findings if finding.problems])
        moving = {finding.video.pk for finding in findings if finding.problems} - stayed
        yield from (finding for finding in findings if finding.video.pk not in moving or number == MOVING - 1)
        if not moving:
            break
        suspects = list(moving)
        time.sleep(PAUSE)


def _with_rows(videos: VideoQuerySet) -> Iterator[Video]:
    rows = videos.select_related("job", "transcription", "imported_package")
    return rows.prefetch_related("qualities", "audio_tracks").order_by("pk").iterator(chunk_size=BATCH)


def _check(video: Video) -> Finding:
    package = package_dir(video)
    report = _report(video, package)
    if not report.problems and report.renditions:
        report.problems += _row_problems(video, report.renditions)
    report.problems += _caption_problems(video)
    is_broken, has_source = bool(report.problems), source_path(video).is_file()
    if not has_source:
        report.problems.append(f"its source, {_source(video)}, {_where(video)}")
    if package.is_dir() and not (package / "poster.jpg").is_file():
        report.warnings.append("it has no poster")
    if package.is_dir() and video.source_width and not (package / "storyboard.vtt").is_file():
        report.warnings.append("it has no storyboard")
    return Finding(video, report.problems, report.warnings, _advice(video, is_broken=is_broken, has_source=has_source))


def _report(video: Video, package: Path) -> Report:
    job, imported_package = getattr(video, "job", None), getattr(video, "imported_package", None)
    if not package.is_dir():
        return Report([f"its folder, media/{package_name(video)}, {_where(video)}"])
    if imported_package is not None:
        return Report(list(imported.problems(imported_package, package)))
    if job is None or job.plan is None:
        return Report(["it has no plan to check its files against"])
    try:
        plan = Plan.from_json(job.plan)
    except (KeyError, TypeError, ValueError):
        return Report(["its plan cannot be read by this release"])
    return inspect(package, described(plan, list(video.audio_tracks.all())))


def _where(video: Video) -> str:
    """Return what became of files that are not in their place, the end of a sentence."""
    return UNMOVED if is_unmoved(video) else "is missing"


def _row_problems(video: Video, renditions: Collection[StoredRendition]) -> Iterator[str]:
    """Yield the differences between the rows of a publication and the files."""
    rungs = {rendition.key: rendition for rendition in renditions if rendition.size}
    rows = {row.quality: row for row in video.qualities.all()}
    yield from (f"its row for {name} is missing" for name in rungs if name not in rows)
    yield from (f"its row for {name} has no files" for name in rows if name not in rungs)
    for name in rungs.keys() & rows.keys():
        yield from _quality_problems(rows[name], rungs[name])
    shown = list(rungs.values()) or list(renditions)
    longest = max(rendition.duration for rendition in shown)
    if abs(video.duration - longest) > 1 / min(rendition.rate for rendition in shown):
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
    if is_unmoved(video):
        return "Stop VLog, and run manage.py move_files: docs/storage.md."
    if is_broken and has_source:
        return f"Run manage.py jobs encode {video.slug}, or restore media/{package_name(video)} from a backup."
    if is_broken:
        return f"Restore media/{package_name(video)} and {_source(video)} from a backup."
    return "" if has_source else f"The video plays; restore {_source(video)} from a backup."


def _source(video: Video) -> str:
    path = source_path(video)
    return f"sources/{path.parent.name}/{path.name}"
