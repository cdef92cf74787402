"""The cache that all processes of the site share, in Redis. The site works without it."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import redis
from django.core.cache.backends.redis import RedisCache, RedisCacheClient

WARNING_SECONDS = 60
PAUSE_SECONDS = 5  # after a call that Redis did not answer in time: without them each one would wait

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class TolerantClient(RedisCacheClient):
    """Django's client, which behaves like an empty cache while Redis does not answer.

    `add` returns True then, as that of Django's dummy cache does: a lock that cannot be stored must not stop the work.
    """

    # On the class, because each thread has a client of its own.
    warned_at = float("-inf")
    resumes_at = float("-inf")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.clients: dict[bool, redis.Redis] = {}

    def get_client(self, key: Any = None, *, write: bool = False) -> redis.Redis:
        """Return a client, one for all calls. Django makes one for each, which takes longer than the call."""
        if write not in self.clients:
            self.clients[write] = super().get_client(key, write=write)
        return self.clients[write]

    def add(self, key: Any, value: Any, timeout: Any) -> bool:
        return self._call(super().add, key, value, timeout, fallback=True)

    def get(self, key: Any, default: Any) -> Any:
        return self._call(super().get, key, default, fallback=default)

    def set(self, key: Any, value: Any, timeout: Any) -> None:
        self._call(super().set, key, value, timeout, fallback=None)

    def touch(self, key: Any, timeout: Any) -> bool:
        return self._call(super().touch, key, timeout, fallback=False)

    def delete(self, key: Any) -> bool:
        return self._call(super().delete, key, fallback=False)

    def get_many(self, keys: Any) -> dict[Any, Any]:
        return self._call(super().get_many, keys, fallback={})

    def has_key(self, key: Any) -> bool:
        return self._call(super().has_key, key, fallback=False)

    def incr(self, key: Any, delta: int) -> int:
        """Raise ValueError for an unknown key. Without Redis every key is unknown."""
        value = self._call(super().incr, key, delta, fallback=None)
        if value is None:
            raise ValueError(f"Key {key!r} not found.")
        return value

    def set_many(self, data: Any, timeout: Any) -> None:
        self._call(super().set_many, data, timeout, fallback=None)

    def delete_many(self, keys: Any) -> None:
        self._call(super().delete_many, keys, fallback=None)

    def delete_prefix(self, prefix: str) -> None:
        self._call(self._delete_prefix, prefix, fallback=None)

    def _delete_prefix(self, prefix: str) -> None:
        client = self.get_client(write=True)
        for key in client.scan_iter(f"{prefix}*"):
            client.delete(key)

    def run_script(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        return self._call(self.get_client(write=True).eval, script, len(keys), *keys, *arguments, fallback=None)

    def _call(self, method: Callable[..., Result], *arguments: Any, fallback: Result) -> Result:
        """Return the result of the method, or the fallback while Redis does not answer."""
        if time.monotonic() < TolerantClient.resumes_at:
            return fallback
        try:
            return method(*arguments)
        except redis.RedisError as error:
            if isinstance(error, redis.TimeoutError):
                TolerantClient.resumes_at = time.monotonic() + PAUSE_SECONDS
            self._warn(error)
            return fallback

    def _warn(self, error: redis.RedisError) -> None:
        now = time.monotonic()
        if now - TolerantClient.warned_at >= WARNING_SECONDS:
            TolerantClient.warned_at = now
            log.warning("Redis does not answer, so nothing is cached: %s", error)


class TolerantRedisCache(RedisCache):
    """The backend that `CACHES` names."""

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = TolerantClient

    def clear(self) -> None:
        """Delete the keys of this cache. Django's method empties the whole database, and Celery's messages with it."""
        client: TolerantClient = self._cache  # type: ignore[assignment]
        client.delete_prefix(f"{self.key_prefix}:")

    def run_script(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        """Run a Lua script on keys of this cache, and return its result; None while Redis does not answer."""
        client: TolerantClient = self._cache  # type: ignore[assignment]
        return client.run_script(script, [self.make_and_validate_key(key) for key in keys], arguments)
