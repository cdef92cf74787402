"""The figures of the overview page."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import F, QuerySet, Sum

from analytics.models import DailyTotal, DailyViews, Viewer
from videos.models import Video

DAYS = 30  # of the chart and the top videos, including today
TOP = 10
VIDEO_DAYS = 28  # of the page of a video in the admin, including today


@dataclass(frozen=True)
class Totals:
    """Figures of all time; docs/schema.md has a query that counts the sessions themselves."""

    total_views: int
    unique_viewers: int
    watch_hours: float
    completion_rate: float

    @property
    def completion_percent(self) -> float:
        return 100 * self.completion_rate


def totals() -> Totals:
    """Return the figures from the sums of all days, which may be a minute old: sessions may be millions.

    Viewers are counted themselves, because in the sums of days a viewer counts once per day.
    """
    sums = DailyTotal.objects.aggregate(
        views=Sum("views", default=0),
        seconds=Sum("watch_seconds", default=0.0),
        completed=Sum("completions", default=0),
    )
    return Totals(
        total_views=int(sums["views"]),
        unique_viewers=Viewer.objects.count(),
        watch_hours=sums["seconds"] / 3600,
        completion_rate=float(sums["completed"] / sums["views"]) if sums["views"] else 0.0,
    )


def today() -> date:
    return datetime.now(UTC).date()


def first_day() -> date:
    return today() - timedelta(days=DAYS - 1)


def last_days(number: int = DAYS) -> list[DailyTotal]:
    """Return the totals of the last days, today included, the earliest first; zeros for days without a view."""
    first = today() - timedelta(days=number - 1)
    counted = {total.day: total for total in DailyTotal.objects.filter(day__gte=first)}
    days = (first + timedelta(days=offset) for offset in range(number))
    return [counted.get(day) or DailyTotal(day=day) for day in days]


def top_videos(user: User | AnonymousUser) -> QuerySet[Video]:
    """Return this editor's most viewed videos of the last days: `views`, `watch_hours`, `completion_percent`."""
    days = Video.objects.for_editor(user).not_archived().filter(daily_views__day__gte=first_day())
    played = days.annotate(
        views=Sum("daily_views__views"),
        watch_hours=Sum("daily_views__watch_seconds") / 3600,
        completion_percent=100.0 * Sum("daily_views__completions") / Sum("daily_views__views"),
    )
    return played.filter(views__gt=0).order_by(F("views").desc(), "-watch_hours", "pk")[:TOP]


@dataclass(frozen=True)
class VideoNumbers:
    """How one video was watched in the last days. days: the plays of each, the earliest first; today included."""

    plays: int
    hours: float
    seconds_on_average: float
    days: list[int]

    @property
    def points(self) -> str:
        """Return the plays of the days as the points of a line, in a picture 300 wide and 44 high."""
        highest, wide = max(*self.days, 1), 300 / (len(self.days) - 1)
        return " ".join(f"{place * wide:.1f},{42 - 38 * plays / highest:.1f}" for place, plays in enumerate(self.days))


def last_days_of(video: Video, number: int = VIDEO_DAYS) -> VideoNumbers:
    first = today() - timedelta(days=number - 1)
    rows = {row.day: row for row in DailyViews.objects.filter(video=video, day__gte=first)}
    days = [rows[day].views if day in rows else 0 for day in (first + timedelta(days=at) for at in range(number))]
    plays, seconds = sum(days), sum(row.watch_seconds for row in rows.values())
    return VideoNumbers(plays, seconds / 3600, seconds / plays if plays else 0.0, days)
