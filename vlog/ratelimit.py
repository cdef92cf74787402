"""Limits of calls for each client, which all processes of the site share: token buckets in Redis."""

import time
from typing import cast

from django.core.cache import cache
from django.http import HttpRequest

from vlog.cache import TolerantRedisCache
from vlog.clients import client_of
from vlog.environment import Limit

# A bucket is one number: the time at which it will be full again, which a call moves by the time of one token. A time
# beyond that of an empty bucket was stored by a machine whose clock is ahead.
TAKE = """
local now, token, whole = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full_at = tonumber(redis.call('GET', KEYS[1]) or now)
full_at = math.min(math.max(full_at, now), now + whole) + token
local wait = full_at - now - whole
if wait > 0.00001 then return tostring(wait) end
redis.call('SET', KEYS[1], string.format('%.6f', full_at), 'PX', math.ceil((full_at - now) * 1000))
return '0'
"""


def wait(client: str, name: str, limit: Limit) -> float:
    """Take a token of a client's bucket: return 0, or if there is none, the seconds until there is one.

    It is one request to Redis. Without Redis there is always a token, and so there is for a client without an address.
    """
    if not limit.calls or not client:
        return 0
    arguments = [time.time(), limit.seconds / limit.calls, limit.seconds]
    return float(cast(TolerantRedisCache, cache).run_script(TAKE, [f"bucket:{name}:{client}"], arguments) or 0)


def client(request: HttpRequest) -> str:
    """Return the address that a request came from; for IPv6 its network. Empty for a Unix socket."""
    return client_of(request.META.get("REMOTE_ADDR") or "")
