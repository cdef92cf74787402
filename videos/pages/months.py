"""The videos by the months of their publication: all months with the numbers of their videos, and the list of each."""

import re
from collections.abc import Iterable
from datetime import date, datetime
from itertools import groupby
from typing import NamedTuple

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.formats import date_format
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from videos.models import Video, address_of, is_public_sql
from videos.pages.views import list_page
from vlog import queries
from vlog.kept import Kept
from vlog.serving.everybody import same_for_everybody

MONTH = re.compile(r"((?:19|20|21)\d\d)-(0[1-9]|1[0-2])", re.ASCII)

no_cache = cache_control(no_cache=True)

# Read in the order of the index, and kept for a minute: it looks at every public video.
NUMBERS = f"""
SELECT date_trunc('month', v.published_at AT TIME ZONE %s)::DATE AS month, COUNT(*)
FROM videos v WHERE {is_public_sql("v")} AND v.published_at IS NOT NULL GROUP BY month ORDER BY month DESC
"""  # noqa: S608 - constants


class Month(NamedTuple):
    """A month with public videos."""

    first: date
    number: int

    @property
    def name(self) -> str:
        return date_format(self.first, "F")

    @property
    def url(self) -> str:
        return address_of("month", f"{self.first:%Y-%m}")


def _read() -> dict[str, list[Month]]:
    zone = timezone.get_current_timezone_name()
    return {zone: [Month(*row) for row in queries.rows(NUMBERS, (zone,))]}


# By the zone, which the settings of the site may change.
numbers: Kept[dict[str, list[Month]]] = Kept("months", _read, dict)


def counted() -> list[Month]:
    """Return the months with public videos, the latest first."""
    zone = timezone.get_current_timezone_name()
    found = numbers.get()
    if zone not in found:
        numbers.forget()
        found = numbers.get()
    return found.get(zone, [])


def by_year(months: Iterable[Month]) -> list[tuple[int, list[Month]]]:
    return [(year, list(group)) for year, group in groupby(months, key=lambda month: month.first.year)]


@require_safe
@no_cache
@same_for_everybody()
def months(request: HttpRequest) -> HttpResponse:
    return render(request, "videos/months.html", {"years": by_year(counted())})


@require_safe
@no_cache
@same_for_everybody("page")
def month(request: HttpRequest, month: str) -> HttpResponse:
    """Show the videos that were published in a month, the latest first, in the zone of the site."""
    first, after = _bounds(month)
    videos = Video.objects.public().filter(published_at__gte=first, published_at__lt=after)
    name = date_format(first, "F Y")
    if not videos.exists():
        raise Http404("No public videos of this month")
    return list_page(request, "videos/month.html", videos, name=name)


def _bounds(month: str) -> tuple[datetime, datetime]:
    match = MONTH.fullmatch(month)
    if match is None:
        raise Http404("No such month")
    year, number = int(match[1]), int(match[2])
    zone = timezone.get_current_timezone()
    following = (year + 1, 1) if number == 12 else (year, number + 1)
    return datetime(year, number, 1, tzinfo=zone), datetime(*following, 1, tzinfo=zone)
