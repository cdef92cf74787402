"""Template filters and tags of the desk."""

from django import template
from django.utils.translation import ngettext

from videos.admin import thumbnails
from videos.formatting import day, thousands

register = template.Library()
register.filter(day)
register.simple_tag(thumbnails.address, name="thumbnail")


@register.filter
def plays(number: int) -> str:
    """Return a number of plays as text: "1 play", "1,234 plays"."""
    return ngettext("%(number)s play", "%(number)s plays", number) % {"number": thousands(number)}
