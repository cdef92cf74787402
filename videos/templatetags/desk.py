"""Template filters and tags of the desk."""

import re
from difflib import SequenceMatcher

from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import ngettext

from videos.admin import thumbnails
from videos.formatting import day, thousands

MOST_COMPARED = 2000  # words and spaces; the time grows with the square

register = template.Library()
register.filter(day)
register.simple_tag(thumbnails.address, name="thumbnail")


@register.filter
def plays(number: int) -> str:
    """Return a number of plays as text: "1 play", "1,234 plays"."""
    return ngettext("%(number)s play", "%(number)s plays", number) % {"number": thousands(number)}


@register.filter
def marked(text: str, other: str) -> SafeString:
    """Return a text as HTML in which the words that the other text does not have in this place are marked."""
    ours, theirs = (re.findall(r"\s+|\S+", each) for each in (text, other))
    if not ours or not theirs or max(len(ours), len(theirs)) > MOST_COMPARED:
        return mark_safe(escape(text))  # noqa: S308 - escaped
    found = SequenceMatcher(None, theirs, ours, autojunk=False).get_opcodes()
    parts = [("".join(ours[start:end]), kind) for kind, _, _, start, end in found if start < end]
    return SafeString("".join(escape(part) if kind == "equal" else _mark(part) for part, kind in parts))


def _mark(text: str) -> SafeString:
    return format_html("<mark>{}</mark>", text)
