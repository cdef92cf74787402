"""Durations, ages and counts as text; registered as template filters by `video_extras`."""

import re
from datetime import datetime
from functools import lru_cache

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from vlog.sentences import one_or_many, plural

DAY = 86_400  # seconds
UNITS = (
    (one_or_many("%(number)s year ago", "%(number)s years ago"), 365 * DAY),
    (one_or_many("%(number)s month ago", "%(number)s months ago"), 30 * DAY),
    (one_or_many("%(number)s week ago", "%(number)s weeks ago"), 7 * DAY),
    (one_or_many("%(number)s day ago", "%(number)s days ago"), DAY),
    (one_or_many("%(number)s hour ago", "%(number)s hours ago"), 3600),
    (one_or_many("%(number)s minute ago", "%(number)s minutes ago"), 60),
)
# The positions that people write: 1:02:03, and 1h2m3s.
POSITIONS = (
    re.compile(r"(?:(?:(\d{1,3}):)?(\d{1,4}):)?(\d{1,6})", re.ASCII),
    re.compile(r"(?:(\d{1,3})h)?(?:(\d{1,4})m)?(?:(\d{1,6})s)?", re.ASCII),
)


def clock(seconds: float) -> str:
    """Return a duration as players show it: 0:07, 12:34, 1:02:03."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def clock_down(moment: float) -> str:
    """Return a position as players show it, rounded down: a caption that starts at 7.9 s is found from 0:07."""
    return clock(int(moment))


def seconds_of(position: str) -> int:
    """Return the second that a position names: 5, 5s, 1m2s, 1:02 or 1:02:03; 0 for any other text."""
    found = next(filter(None, (form.fullmatch(position) for form in POSITIONS)), None)
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    return 3600 * hours + 60 * minutes + seconds


def age(moment: datetime | None) -> str:
    """Return how long ago a moment was, in its largest unit: "3 days ago"."""
    if moment is None:
        return ""
    seconds = max((timezone.now() - moment).total_seconds(), 0)  # the clocks of two machines may differ
    for unit, (_forms, length) in enumerate(UNITS):
        if number := int(seconds // length):
            return _age(unit, number, get_language())
    return _("just now")


@lru_cache(1024)
def _age(unit: int, number: int, language: str | None) -> str:
    """Return a number of units in the active language, which is part of the key."""
    return plural(*UNITS[unit][0], number)


def day(moment: datetime | None) -> str:
    """Return the day of a moment: Today, Yesterday, Tomorrow, 25 Nov, 5 Jan 2027."""
    if moment is None:
        return ""
    date, today = timezone.localtime(moment).date(), timezone.localdate()
    near = {-1: _("Yesterday"), 0: _("Today"), 1: _("Tomorrow")}
    return near.get((date - today).days) or date_format(date, _("j M") if date.year == today.year else _("j M Y"))


def views(count: int) -> str:
    """Return a number of views as text: "1 view", "1,234 views"."""
    return ngettext("%(number)s view", "%(number)s views", count) % {"number": thousands(count)}


def thousands(count: int) -> str:
    """Return a number with its thousands separated: "1,234", in German "1.234"."""
    return number_format(count, force_grouping=True)


def absolute(path: str) -> str:
    """Return the full address of a path, for feeds and other readers outside of the site."""
    return f"{settings.BASE_URL}{path}"
