"""Counters that all processes of the site share."""

import time
from contextlib import suppress

from django.core.cache import cache


def count(name: str, seconds: int) -> int:
    """Count this call, and return the number of calls under this name in the current window of so many seconds.

    Without Redis nothing is counted, and the result is 0.
    """
    key = f"count:{name}:{int(time.time()) // seconds}"
    # The key outlives its window: one that expired between the two calls would come back without an expiry.
    cache.add(key, 0, 2 * seconds)
    with suppress(ValueError):
        return cache.incr(key)
    return 0
