"""The start page of the desk: what needs an editor, what is being made, what comes, and how it is watched."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _

from analytics import reports
from analytics.models import DailyTotal
from transcoding.engine.renditions import display_order
from transcoding.models import PipelineStep, QualityStatus, TranscodingJob
from transcoding.operations.insight import Insight, judge
from transcoding.operations.snapshot import QueueSnapshot, WorkerState, read_snapshot
from videos.admin import captions_list
from videos.formatting import thousands
from videos.models import Category, Video, Visibility, VisibilityChange, of_editor, through_video
from vlog import disk, plot
from vlog.sentences import one_or_many, plural

FAILED, UNSORTED, UNCHECKED, MAKING, SCHEDULED, LATEST = 5, 3, 3, 6, 5, 4  # rows on the page
PLAYS = one_or_many("%(day)s: %(number)s play", "%(day)s: %(number)s plays")
COUNTED = 100  # videos without a category; a large site may have more


@dataclass(frozen=True)
class Figure:
    """A sum of the last days, and how it differs from the days before."""

    name: str
    value: str
    change: str


@dataclass(frozen=True)
class Making:
    """An unfinished job. rendition: the name of the largest one that is being made."""

    job: TranscodingJob
    insight: Insight
    rendition: str

    @property
    def has_poster(self) -> bool:
        return self.job.current_step not in (None, PipelineStep.ARRIVAL, PipelineStep.PROBE, PipelineStep.THUMBNAIL)

    @property
    def can_preview(self) -> bool:
        return self.job.video.playable and self.job.video.version_of_id is None

    @property
    def waits(self) -> bool:
        """Whether it waits for its turn, and no step of it is being done."""
        return not self.insight.workers and (self.insight.before is not None or self.job.current_step is None)

    @property
    def can_move(self) -> bool:
        """Whether other videos come before it. Of a video that was not analysed yet, that is not known."""
        return self.waits and self.insight.before != 0


def context(request: HttpRequest) -> dict[str, Any]:
    """Return what the page shows this person; what it does not contain is not for them, or there is none."""
    user = request.user
    sees = {
        "videos": user.has_perm("videos.view_video") or user.has_perm("videos.change_video"),
        "jobs": user.has_perm("transcoding.view_transcodingjob"),
        "workers": user.has_perm("workers.view_worker"),
        "plays": user.has_perm("analytics.view_playbacksession"),
    }
    found: dict[str, Any] = {"sees": sees, "has_folders": bool(settings.IMPORTS.folders)}
    if sees["videos"]:
        found |= _videos(request)
    if sees["jobs"]:
        found |= _making(request)
    if sees["plays"]:
        found |= _plays()
    return found | _operation(sees, found) | {"lead": _lead(found)}


def _videos(request: HttpRequest) -> dict[str, Any]:
    failed, unsorted, scheduled = (
        failed_jobs(request.user),
        without_category(request.user),
        scheduled_changes(request.user),
    )
    unchecked = captions_list.to_check(request.user)
    changes = list(scheduled.select_related("video")[:SCHEDULED])
    rows: dict[str, list[Any]] = {
        "failed": list(failed.select_related("video__version_of").defer("plan")[:FAILED]),
        "unsorted": list(unsorted[:UNSORTED]),
        "unchecked": captions_list.rows(unchecked[:UNCHECKED]),
    }
    failures = failed.count()
    needs = failures + unsorted[:COUNTED].count() + unchecked[:COUNTED].count()
    return {
        **rows,
        "is_empty": not Video.objects.exists(),
        "failures": failures,
        "needs": needs,
        "hidden_needs": needs - sum(map(len, rows.values())),
        "scheduled": changes,
        "scheduled_count": scheduled.count(),
        "latest": list(Video.objects.for_editor(request.user).public().newest()[:LATEST]),
    }


def failed_jobs(user: User | AnonymousUser) -> QuerySet[TranscodingJob]:
    """Return the jobs that failed, the newest first, without cancelled ones."""
    failed = TranscodingJob.objects.shown().filter(
        through_video(user), video__status=Video.Status.FAILED, video__deleted_at=None
    )
    return failed.filter(cancelled_by=None).order_by("-pk")


def without_category(user: User | AnonymousUser) -> QuerySet[Video]:
    """Return the public videos that no category leads to; none where the site has no categories."""
    if not Category.objects.exists():
        return Video.objects.none()
    return Video.objects.for_editor(user).public().filter(category=None).newest()


def scheduled_changes(user: User | AnonymousUser) -> QuerySet[VisibilityChange]:
    """Return the moments at which videos become public, the next one first."""
    changes = VisibilityChange.objects.filter(at__gt=timezone.now(), visibility=Visibility.PUBLIC)
    return changes.filter(of_editor(user, "video__category"), video__deleted_at=None).order_by("at")


def _making(request: HttpRequest) -> dict[str, Any]:
    jobs = list(
        TranscodingJob.objects.unfinished()
        .filter(through_video(request.user))
        .select_related("video__version_of")
        .prefetch_related("qualities")
        .defer("plan")
    )
    snapshot = read_snapshot([job.pk for job in jobs])
    rows = [Making(job, judge(job, snapshot), rendition_of(job)) for job in in_order(jobs, snapshot)[:MAKING]]
    return {"making": rows, "making_count": len(jobs), "hidden_making": len(jobs) - len(rows), "snapshot": snapshot}


def in_order(jobs: list[TranscodingJob], snapshot: QueueSnapshot) -> list[TranscodingJob]:
    """Return the jobs in the order in which they are made: first those with workers, last those without a plan."""
    place: dict[int, int] = {}
    for number, chunk in enumerate(sorted(snapshot.queue, key=lambda chunk: not chunk.running)):
        place.setdefault(chunk.job, number)
    return sorted(jobs, key=lambda job: (place.get(job.pk, len(snapshot.queue)), job.place, job.pk))


def rendition_of(job: TranscodingJob) -> str:
    """Return the name of the first rendition that is being made, or nothing."""
    busy = [rung.quality for rung in job.qualities.all() if rung.status == QualityStatus.IN_PROGRESS]
    return min(busy, key=display_order, default="")


def _plays() -> dict[str, Any]:
    totals = reports.last_days(2 * reports.DAYS)
    before, now = totals[: reports.DAYS], totals[reports.DAYS :]
    plays = [(total.day, total.views) for total in now]
    return {
        "figures": figures(now, before),
        "plots": plot.pair(plays, PLAYS),
        "plot_words": plot.in_words(plays, _("Plays")),
        "plays": plays[::-1],
        "days": reports.DAYS,
        "has_plays": any(number for _day, number in plays),
    }


def figures(now: list[DailyTotal], before: list[DailyTotal]) -> list[Figure]:
    """Return the sums of some days, with the difference to those before, which is left out where those had no plays."""
    plays, earlier = (sum(total.views for total in days) for days in (now, before))
    hours, hours_earlier = (sum(total.watch_seconds for total in days) / 3600 for days in (now, before))
    ends, ends_earlier = (sum(total.completions for total in days) for days in (now, before))
    share = 100 * ends / plays if plays else 0
    points = round(share - 100 * ends_earlier / earlier) if plays and earlier else 0
    return [
        Figure(_("Plays"), thousands(plays), _change(plays, earlier)),
        Figure(_("Hours watched"), thousands(round(hours)), _change(hours, hours_earlier)),
        Figure(_("Watched to the end"), f"{share:.0f} %", _points(points) if points else ""),
    ]


def _points(difference: int) -> str:
    """Return a difference of two percentages."""
    sign = "+" if difference > 0 else "\N{MINUS SIGN}"
    return sign + plural("%(number)s point", "%(number)s points", abs(difference))


def _change(now: float, before: float) -> str:
    return _with_minus(f"{100 * (now - before) / before:+.0f} %") if before else ""


def _with_minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def _operation(sees: dict[str, bool], found: dict[str, Any]) -> dict[str, Any]:
    snapshot = found.get("snapshot")
    if not (sees["videos"] and sees["jobs"] and sees["workers"]) or snapshot is None:
        return {}
    space = disk.usage()
    return {
        "disk": space,
        "used_percent": round(100 * (space.total - space.free) / space.total),
        "workers_words": workers_in_words(
            snapshot.workers, {chunk.worker for chunk in snapshot.queue if chunk.running}
        ),
        "jobs_words": _("%(open)s open, %(failed)s failed")
        % {"open": found["making_count"], "failed": found["failures"]},
    }


def workers_in_words(workers: Any, busy: set[str]) -> str:
    """Return how many workers do what: "2 busy, 1 idle, 1 paused"; those that are not running are left out."""
    live: list[WorkerState] = [worker for worker in workers if worker.live]
    working = sum(worker.name in busy for worker in live)
    paused = sum(not worker.available for worker in live)
    words = [
        (working, _("%(number)s busy")),
        (len(live) - working - paused, _("%(number)s idle")),
        (paused, _("%(number)s paused")),
    ]
    return ", ".join(word % {"number": number} for number, word in words if number > 0) or _("None is running")


def _lead(found: dict[str, Any]) -> str:
    """Return the page in a sentence or two."""
    needs, making, scheduled = (found.get(name, 0) for name in ("needs", "making_count", "scheduled_count"))
    first = plural("%(number)s thing needs you.", "%(number)s things need you.", needs) if needs else ""
    parts = [
        plural("%(number)s video is being made", "%(number)s videos are being made", making) if making else "",
        plural("%(number)s is scheduled", "%(number)s are scheduled", scheduled) if scheduled else "",
    ]
    second = ", ".join(filter(None, parts))
    return " ".join(filter(None, [first, f"{second}." if second else ""]))
