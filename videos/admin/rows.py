"""The rows of the list of videos: the mark, the facts below the title, and how far the making is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import prefetch_related_objects
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from transcoding.models import UNFINISHED, PipelineStep, QualityStatus
from transcoding.operations.insight import Insight, inspect_jobs
from videos.admin import thumbnails
from videos.admin.list_filters import FAILED, SCHEDULED, WORDS
from videos.formatting import clock, day, thousands
from videos.models import MEANINGS, Video, Visibility, VisibilityChange, word_of
from vlog.sentences import within_sentence


@dataclass(frozen=True)
class Mark:
    """The visibility or failure of a video: the name of its icon, its word, what that means, and what comes next."""

    name: str
    word: str
    meaning: str
    next: str = ""


def mark_of(video: Video) -> Mark:
    """Return the mark of a video whose changes are prefetched if it has any."""
    if video.status == Video.Status.FAILED:
        return Mark(FAILED, str(WORDS[FAILED]), _("Failed: it cannot be watched, because its file could not be made"))
    now = Visibility(video.in_force().visibility)
    ahead = [change for change in video.changes.all() if change.at > timezone.now()] if video.changes_at else []
    publication = next((change for change in ahead if change.visibility == Visibility.PUBLIC), None)
    if publication and now != Visibility.PUBLIC:
        return Mark(
            SCHEDULED, day_and_time(publication.at), _("%(now)s. Public from then on.") % {"now": MEANINGS[now]}
        )
    return Mark(now, str(WORDS[now]), str(MEANINGS[now]), _ahead(ahead))


def _ahead(changes: list[VisibilityChange]) -> str:
    """Return the changes of a visibility that come, in words."""
    if changes and changes[0].visibility == Visibility.PRIVATE:
        return _("until %(moment)s") % {"moment": day_and_time(changes[0].at)}
    sentence = _("%(visibility)s from %(moment)s")
    return ", ".join(
        sentence % {"visibility": word_of(one.visibility), "moment": day_and_time(one.at)} for one in changes
    )


def day_and_time(moment: datetime) -> str:
    return f"{day(moment)}, {date_format(localtime(moment), 'H:i')}"


def facts_of(video: Video, insight: Insight | None) -> list[str]:
    """Return the facts below a title, besides the category."""
    facts = [clock(video.duration)] if video.duration else []
    return facts + (_progress(video, insight) if insight else [])


def _progress(video: Video, insight: Insight) -> list[str]:
    """Return what is being made of an unfinished video, how far it is, and how long it takes or why it waits."""
    job = video.job
    if job.current_step == PipelineStep.ARRIVAL:
        return [_("%(progress_percent)s %% sent to the object store") % {"progress_percent": job.progress_percent}]
    encoded = _("%(percent)s %% encoded") % {"percent": job.progress_percent}
    facts = [encoded] if video.status == Video.Status.PROCESSING else []
    if not insight.workers:
        return [*facts, _("Waiting: %(why)s") % {"why": within_sentence(insight.why).rstrip(".")}]
    made = [rung.quality for rung in job.qualities.all() if rung.status == QualityStatus.IN_PROGRESS]
    left = (
        [_("%(remaining)s left") % {"remaining": _minutes(insight.remaining)}] if insight.remaining is not None else []
    )
    return [(_("Encoding %(renditions)s") % {"renditions": ", ".join(made)}).strip(), *facts, *left]


def _minutes(seconds: float) -> str:
    if seconds < 60:
        return _("less than 1 min")
    return f"{round(seconds / 60)} min" if seconds < 3600 else f"{number_format(seconds / 3600, 1)} h"


def complete(videos: Sequence[Any]) -> None:
    """Add to the rows of a page what they show, in a number of queries that does not grow with them."""
    prefetch_related_objects([video for video in videos if video.changes_at], "changes")
    making = [video for video in videos if video.status in UNFINISHED and hasattr(video, "job")]
    prefetch_related_objects(making, "job__qualities")
    for video in making:
        video.job.video = video
    insights = dict(zip(making, inspect_jobs([video.job for video in making]), strict=True)) if making else {}
    for video in videos:
        video.mark = mark_of(video)
        video.facts = facts_of(video, insights.get(video))
        video.is_making = video.status in UNFINISHED
        video.added_on = day(video.created_at)
        video.plays = thousands(video.view_count)
        video.size = filesizeformat(video.storage_entry.total) if hasattr(video, "storage_entry") else ""
        video.poster = thumbnails.address(video) if video.watchable else ""
