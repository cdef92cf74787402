"""beat, which records that it runs: `manage.py doctor`, alerts and metrics read it."""

import time
from typing import Any

from celery import beat
from django.core.cache import cache

DAY = 24 * 3600  # seconds
SILENT_SECONDS = 16  # three turns of the loop, and time for a busy machine


class Scheduler(beat.Scheduler):
    """Celery's own one. The schedule never changes, so nothing needs to be stored in a file."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due; called at least every CELERY_BEAT_MAX_LOOP_INTERVAL seconds."""
        cache.set("beat", time.time(), DAY)
        return float(super().tick(*args, **kwargs))


def age() -> float | None:
    """Return how many seconds ago beat ran; None if that is not known: not for a day, or Redis has lost its data."""
    ran = cache.get("beat")
    return None if ran is None else max(0.0, time.time() - ran)
