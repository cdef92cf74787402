"""Template filters of the desk."""

from django import template

from videos.formatting import day, thousands

register = template.Library()
register.filter(day)


@register.filter
def plays(number: int) -> str:
    """Return a number of plays as text: "1 play", "1,234 plays"."""
    return "1 play" if number == 1 else f"{thousands(number)} plays"
