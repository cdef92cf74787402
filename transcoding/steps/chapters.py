"""The chapters of a video: from its description, and in its package as a WebVTT file that the player loads.

What was said last counts. Chapters of the file are taken where there are no others; those of a description replace all
others when its lines change; those edited one by one stay until the description's lines change again.
"""

import re
from itertools import pairwise
from pathlib import Path

from django.db import transaction

from transcoding.engine.formats import characters, webvtt
from transcoding.engine.formats.webvtt import Caption
from transcoding.engine.package.files import store
from transcoding.engine.plan.inventory import MAX_CHAPTERS, TITLE_LENGTH
from videos.models import Chapter, Video
from videos.storage import placement
from videos.storage.paths import CHAPTERS, package_dir

LEAST = 3  # chapters in a description: fewer times are no chapters
# A time at the beginning of a line, perhaps after the sign of a list or in brackets, then a title.
LINE = re.compile(
    r"^[ \t]*(?:[-*•][ \t]+)?[\[(]?(?:(\d{1,2}):)?(\d{1,3}):([0-5]\d)[\])]?[ \t]*(?:[-\u2013\u2014:|][ \t]*)?(\S.*)$",
    re.MULTILINE,
)
NO_CHAPTERS = (
    "The times in the description are not used as chapters: the first has to be 0:00, at least three are needed, and "
    "each has to be later than the one before."
)

Marks = list[tuple[float, str]]


def in_description(description: str) -> Marks:
    """Return the chapters that a description lists as lines such as `0:00 Start`; none unless they keep the rules.

    The rules are YouTube's: the first begins at 0:00, there are at least three, and they are in order.
    """
    marks = _lines(description)
    in_order = all(earlier < later for (earlier, _), (later, _) in pairwise(marks))
    return marks[:MAX_CHAPTERS] if len(marks) >= LEAST and marks[0][0] == 0 and in_order else []


def why_none(description: str) -> str:
    """Return a sentence if a description lists times that are no chapters; empty otherwise."""
    return NO_CHAPTERS if len(_lines(description)) >= LEAST and not in_description(description) else ""


def _lines(description: str) -> Marks:
    found = (match.groups() for match in LINE.finditer(characters.cleaned(description)))
    return [
        (3600.0 * int(hours or 0) + 60 * int(minutes) + int(seconds), characters.one_line(title, TITLE_LENGTH))
        for hours, minutes, seconds, title in found
    ]


def take_from_description(video: Video) -> bool:
    """Create the chapters that the description of a new video lists; returns whether there are any."""
    marks = in_description(video.description)
    if marks:
        Chapter.objects.replace(video.pk, marks)
    return bool(marks)


def follow_description(video: Video, before: str) -> bool:
    """Change the chapters as the description has changed, which was `before`; returns whether they did.

    Chapters that did not come from the description stay unless it lists new ones.
    """
    old, new = in_description(before), [mark for mark in in_description(video.description) if _fits(mark, video)]
    if old == new:
        return False
    if new or Chapter.objects.filter(video=video).marks() == old:
        Chapter.objects.replace(video.pk, new)
        return True
    return False


def _fits(mark: tuple[float, str], video: Video) -> bool:
    return not video.duration or mark[0] < video.duration


def publish(video_id: int) -> None:
    """Write the chapters of a video into its package, after they were changed."""
    with transaction.atomic():
        video = placement.locked(video_id)
        if video is not None:
            write_file(video)


def write_file(video: Video) -> None:
    """Write the chapters of a video into its package, where it has one."""
    package, marks = package_dir(video), Chapter.objects.filter(video=video).marks()
    if not marks:
        (package / CHAPTERS).unlink(missing_ok=True)
    elif (package / "master.m3u8").is_file():
        _store(package, marks, video.duration)


def _store(package: Path, marks: Marks, duration: float) -> None:
    """Store the file: each chapter lasts until the next one, the last one until the end."""
    ends = [*(start for start, _ in marks[1:]), duration]
    lasting = [Caption(start, end, title) for (start, title), end in zip(marks, ends, strict=True) if end > start]
    store(package / CHAPTERS, webvtt.chapters(lasting).encode())
