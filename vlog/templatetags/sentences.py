"""Filters for words of templates, which every template of the desk has."""

from django import template
from django.utils.translation import gettext

from vlog.sentences import within_sentence

register = template.Library()
register.filter(within_sentence)


@register.filter
def translated(word: str) -> str:
    """Return a word that a model returns in English, such as `valid`, in the language of the page."""
    return gettext(word) if word else ""
