"""What all processes of the site know for a while, in Redis. Where Redis is away they know nothing, and go on."""

import json
import time
from contextlib import suppress
from functools import cache
from typing import Any

import redis
from django.conf import settings

from vlog.environment import redis_client_url
from vlog.health import TIMEOUTS


def count(name: str, seconds: int) -> int:
    """How often this name was counted in the present span of so many seconds, this time included; 0 without Redis."""
    key = f"vlog:count:{name}:{int(time.time()) // seconds}"
    with suppress(redis.RedisError):
        pipeline: Any = _client().pipeline(transaction=False)
        counted, _ = pipeline.incr(key).expire(key, seconds).execute()
        return int(counted)
    return 0


def begin(name: str, seconds: int) -> bool:
    """Whether nobody else is at what has this name; they are until they `end`, or for so long. True without Redis."""
    with suppress(redis.RedisError):
        return bool(_client().set(f"vlog:at:{name}", 1, ex=seconds, nx=True))
    return True


def end(name: str) -> None:
    with suppress(redis.RedisError):
        _client().delete(f"vlog:at:{name}")


def keep(name: str, value: Any, seconds: int) -> None:
    """Keep plain data under a name for so long."""
    with suppress(redis.RedisError):
        _client().set(f"vlog:kept:{name}", json.dumps(value), ex=seconds)


def kept(name: str) -> Any:
    """What was kept under the name, or None."""
    with suppress(redis.RedisError):
        found: Any = _client().get(f"vlog:kept:{name}")
        return None if found is None else json.loads(found)
    return None


@cache
def _client() -> "redis.Redis":
    return redis.Redis.from_url(redis_client_url(settings.REDIS_URL), **TIMEOUTS)
