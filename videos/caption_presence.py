"""Who else has the captions of a track open: a lease in Redis for each open page. Without Redis, the list is empty."""

import json
import re
import time
from typing import Any, NamedTuple, cast

from django.core.cache import cache

from vlog.cache import TolerantRedisCache

LEASE_SECONDS = 45  # a page renews it every 20 seconds
MAX_PAGES = 20  # open at once; further ones are not noted
PAGE = re.compile(r"[a-z0-9]{8,32}")  # the name of an open page, which it makes by chance

# Notes a page, and returns all. The key expires with the last page.
NOTE = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 or redis.call('HLEN', KEYS[1]) < tonumber(ARGV[3]) then
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
    redis.call('EXPIRE', KEYS[1], ARGV[4])
end
return redis.call('HGETALL', KEYS[1])
"""
FORGET = "for i = 1, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end"


class Present(NamedTuple):
    """A person with the captions open; cue: the number of the caption where they are, from 1."""

    name: str
    cue: int
    edits: bool


def note(track_id: int, page: str, present: Present) -> list[Present]:
    """Note that a page is open, and return the others."""
    now, key = time.time(), _key(track_id)
    value = json.dumps([*present, now])
    flat = _redis().run_script(NOTE, [key], [page, value, MAX_PAGES, LEASE_SECONDS]) or []
    found = {name.decode(): json.loads(entry) for name, entry in zip(flat[::2], flat[1::2], strict=True)}
    ended = [name for name, (*_, at) in found.items() if now - at > LEASE_SECONDS]
    if ended:
        _redis().run_script(FORGET, [key], ended)
    return [Present(*facts) for name, (*facts, _) in found.items() if name not in (page, *ended)]


def leave(track_id: int, page: str) -> None:
    """Note that a page was closed."""
    _redis().run_script(FORGET, [_key(track_id)], [page])


def _key(track_id: int) -> str:
    return f"caption-desk:{track_id}"


def _redis() -> TolerantRedisCache:
    return cast(Any, cache)
