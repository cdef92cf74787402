"""Filters for the pages of jobs and workers."""

from django import template
from django.utils import timezone

from transcoding.models import Attempt
from transcoding.operations import insight

register = template.Library()
register.filter("speed", insight.speed)
register.filter("duration", insight.duration)


@register.filter
def first_line(text: str) -> str:
    """Return the first line of an error, without the log that follows it."""
    return text.partition("\n")[0]


@register.filter
def chunk_name(attempt: Attempt) -> str:
    """Return the name of the chunk of an attempt, such as `segments 3-6`."""
    return insight.name_of(attempt.kind, attempt.first_segment, attempt.last_segment)


@register.filter
def took(attempt: Attempt) -> float:
    """Return the seconds that an attempt took, or has taken so far."""
    return ((attempt.ended_at or timezone.now()) - attempt.started_at).total_seconds()
