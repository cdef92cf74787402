"""Template filters of the desk."""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.formats import date_format

from videos.formatting import thousands

register = template.Library()


@register.filter
def day(moment: datetime | None) -> str:
    """Return the day of a moment: Today, Yesterday, Tomorrow, 25 Nov, 5 Jan 2027."""
    if moment is None:
        return ""
    date, today = timezone.localtime(moment).date(), timezone.localdate()
    near = {-1: "Yesterday", 0: "Today", 1: "Tomorrow"}
    return near.get((date - today).days) or date_format(date, "j M" if date.year == today.year else "j M Y")


@register.filter
def plays(number: int) -> str:
    """Return a number of plays as text: "1 play", "1,234 plays"."""
    return "1 play" if number == 1 else f"{thousands(number)} plays"
