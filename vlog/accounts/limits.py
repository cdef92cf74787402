"""How often a password or a code may be guessed, counted in Redis for all processes.

Limits count guesses, not failures: a guess is counted before it is checked, in one step, and withdrawn if it was right.
Parallel guesses therefore get no further than guesses one after the other. docs/decisions.md explains the numbers.
"""

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy

from vlog.cache import TolerantRedisCache
from vlog.clients import client_of
from vlog.sentences import plural

QUARTER, HOUR = 15 * 60, 3600  # seconds
SLOW_SECONDS = 1.0  # the delay of each guess while Redis is away
COOKIE = "vlog_known"
COOKIE_AGE = 180 * 24 * HOUR
COOKIE_ACCOUNTS = 5  # that one browser is known for

# Sorted sets of guesses by time: KEYS, and for each a limit and a window in seconds behind the time and the guess's ID.
# Returns 0, or how many seconds to wait.
COUNT = """
local now, wait = tonumber(ARGV[1]), 0
for i, key in ipairs(KEYS) do
  local limit, window = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
  local excess = redis.call('ZCARD', key) - limit
  if excess >= 0 then
    local leaving = redis.call('ZRANGE', key, excess, excess, 'WITHSCORES')
    wait = math.max(wait, tonumber(leaving[2]) + window - now)
  end
end
if wait > 0 then return math.ceil(wait) end
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, now, ARGV[2])
  redis.call('EXPIRE', key, ARGV[2 * i + 2])
end
return 0
"""
WITHDRAW = "for _, key in ipairs(KEYS) do redis.call('ZREM', key, ARGV[1]) end"

log = logging.getLogger(__name__)
# One thread of each process for strangers and one for known browsers, so that a flood holds no more.
_slots = {known: threading.BoundedSemaphore(1) for known in (True, False)}


TOO_MANY = {
    "failed logins": gettext_lazy("There were too many failed logins."),
    "wrong passwords": gettext_lazy("There were too many wrong passwords."),
    "wrong invitations": gettext_lazy("There were too many wrong invitations."),
    "requests": gettext_lazy("There were too many requests."),
}


class Refused(PermissionDenied):
    """A guess was not checked. The message is for the person. seconds: until the next one may be made."""

    def __init__(self, seconds: int, what: str = "failed logins") -> None:
        minutes = -(-seconds // 60)
        wait = (
            plural(
                "Wait %(number)s minute before the next one.", "Wait %(number)s minutes before the next one.", minutes
            )
            if seconds > 60
            else plural(
                "Wait %(number)s second before the next one.", "Wait %(number)s seconds before the next one.", seconds
            )
        )
        super().__init__(f"{TOO_MANY[what]} {wait}")
        self.seconds = seconds


class Limit(NamedTuple):
    """So many guesses in so many seconds."""

    name: str
    guesses: int
    seconds: int


@dataclass(frozen=True)
class Guess:
    """A guess that was counted under these keys."""

    keys: list[str] = field(default_factory=list)
    id: str = field(default_factory=lambda: secrets.token_hex(8))


def count(request: HttpRequest, username: str) -> Guess:
    """Count a guess. Raises Refused, which `with_refusal` finds at the request."""
    account = _digest(username)
    known = account in _known_accounts(request)
    return _count(request, _limits(account, _network(request), known=known), known=known)


def count_shared(request: HttpRequest, name: str) -> Guess:
    """Count a guess of a password that many people know, such as that of a video. Raises Refused."""
    network = _network(request)
    limits = [
        Limit(f"shared:{name}:{network}", 10, QUARTER),
        Limit(f"network:{network}", 50, HOUR),
        Limit(f"strangers:network:{network}", 40, HOUR),  # the rest is for people who log in
        Limit(f"shared:{name}", 300, HOUR),  # for a botnet; who knows the password is not counted
    ]
    return _count(request, limits, known=False, what="wrong passwords")


def count_in_network(request: HttpRequest, name: str, what: str) -> Guess:
    """Count a guess of a random key, which only its own network may exhaust. Raises Refused."""
    limits = [Limit(f"{name}:network:{_network(request)}", 20, QUARTER)]
    return _count(request, limits, known=False, what=what)


def count_requests(request: HttpRequest, name: str, subject: str) -> Guess:
    """Count a request that makes the site send something to the subject. Raises Refused."""
    limits = [
        Limit(f"{name}:network:{_network(request)}", 10, HOUR),
        Limit(f"{name}:{_digest(subject)}", 3, HOUR),
    ]
    return _count(request, limits, known=False, what="requests")


def _count(request: HttpRequest, limits: Iterable[Limit], *, known: bool, what: str = "failed logins") -> Guess:
    limits = list(limits)
    guess = Guess([f"guesses:{limit.name}" for limit in limits])
    numbers = [number for limit in limits for number in limit[1:]]
    wait = _redis().run_script(COUNT, guess.keys, [time.time(), guess.id, *numbers])
    if wait is None:
        _slow_down(request, known=known)
        return Guess()
    if wait:
        raise refusal(request, wait, what)
    return guess


def withdraw(guess: Guess) -> None:
    """Forget a guess that was right."""
    if guess.keys:
        _redis().run_script(WITHDRAW, guess.keys, [guess.id])


def refusal(request: HttpRequest, seconds: int, what: str = "failed logins") -> Refused:
    refused = Refused(seconds, what)
    request.refusal = refused  # type: ignore[attr-defined]
    return refused


def with_refusal(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Return the response, with status 429 if a guess was refused in this request."""
    refused: Refused | None = getattr(request, "refusal", None)
    if refused:
        response.status_code = 429
        response.headers["Retry-After"] = str(refused.seconds)
    return response


def remember(request: HttpRequest, response: HttpResponse, username: str) -> HttpResponse:
    """Let the browser prove later that this account has logged in with it. That opens nothing but the limits."""
    accounts = list(dict.fromkeys([_digest(username), *_known_accounts(request)]))[:COOKIE_ACCOUNTS]
    response.set_signed_cookie(
        COOKIE,
        ".".join(accounts),
        salt=COOKIE,
        max_age=COOKIE_AGE,
        path=reverse("admin:index"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


def _limits(account: str, network: str, *, known: bool) -> Iterator[Limit]:
    yield Limit(f"account:{account}", 10, QUARTER)
    yield Limit(f"network:{network}", 50, HOUR)
    if not known:  # the rest of each is kept for browsers that have logged in before
        yield Limit(f"strangers:account:{account}", 7, QUARTER)
        yield Limit(f"strangers:network:{network}", 40, HOUR)
        # One address cannot use up what other addresses have.
        yield Limit(f"strangers:{account}:{network}", 5, QUARTER)


def _network(request: HttpRequest) -> str:
    return client_of(request.META.get("REMOTE_ADDR", ""))


def _known_accounts(request: HttpRequest) -> list[str]:
    value = request.get_signed_cookie(COOKIE, default="", salt=COOKIE, max_age=COOKIE_AGE)
    return value.split(".") if value else []


def _digest(username: str) -> str:
    """Return a name of fixed length for the account; cookies and keys in Redis then show no names."""
    return hashlib.sha256(username.encode(errors="replace")).hexdigest()[:32]


def _redis() -> TolerantRedisCache:
    return cast(Any, cache)


def _slow_down(request: HttpRequest, *, known: bool) -> None:
    """Delay a guess that cannot be counted. Raises Refused if another one is being delayed."""
    if not _slots[known].acquire(blocking=False):
        raise refusal(request, 2)
    try:
        log.warning("Redis does not answer, so guesses of passwords are not counted; each is delayed.")
        time.sleep(SLOW_SECONDS)
    finally:
        _slots[known].release()
