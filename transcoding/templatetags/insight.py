"""What the pages of jobs say in figures."""

from django import template
from django.utils import timezone

from transcoding.models import Attempt
from transcoding.operations import insight

register = template.Library()
register.filter("speed", insight.speed)
register.filter("duration", insight.duration)


@register.filter
def first_line(text: str) -> str:
    """Of an error with a log: the log stands elsewhere."""
    return text.partition("\n")[0]


@register.filter
def piece(attempt: Attempt) -> str:
    return insight.name_of(attempt.kind, attempt.first_segment, attempt.last_segment)


@register.filter
def took(attempt: Attempt) -> float:
    """Seconds, so far or in all."""
    return ((attempt.ended_at or timezone.now()) - attempt.started_at).total_seconds()
