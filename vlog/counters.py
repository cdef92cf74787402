"""Counters of events that no row counts: Prometheus reads them, and nothing depends on them.

They are in Redis, one for all processes. What happens while Redis is away is not counted, and a Redis that has lost its
data counts from zero, as Prometheus expects of any counter.
"""

from functools import partial
from typing import Any, cast

from django.core.cache import cache
from django.db import transaction

from vlog.cache import TolerantRedisCache

KEY = "counters"
ADD = "return redis.call('HINCRBY', KEYS[1], ARGV[1], ARGV[2])"
ALL = "return redis.call('HGETALL', KEYS[1])"


def add_after_commit(name: str, number: int = 1) -> None:
    """Add to a counter once the transaction is committed, because otherwise it did not happen."""
    if number:
        transaction.on_commit(partial(add, name, number))


def add(name: str, number: int) -> None:
    """Add to a counter now: for what happens outside transactions."""
    if number:
        _redis().run_script(ADD, [KEY], [name, number])


def read() -> dict[str, int]:
    """Return the counters that are not zero; empty while Redis is away."""
    flat = _redis().run_script(ALL, [KEY], []) or []
    return {name.decode(): int(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}


def _redis() -> TolerantRedisCache:
    return cast(Any, cache)
