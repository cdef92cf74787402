"""What a check of this installation finds, and the checks of the services that everything else needs.

settings.DOCTOR lists all checks, by their functions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.template.defaultfilters import pluralize

from vlog import disk
from vlog.environment import REDIS_TIMEOUTS, redis_client_url


class State(IntEnum):
    """Works; works, but needs attention; does not work."""

    GREEN = 0
    AMBER = 1
    RED = 2


MORE = "more"  # the key of a finding that says that there are others, which are not named


@dataclass(frozen=True)
class Finding:
    """One result of a check. advice: what an operator should do, empty if the state is green.

    fix: corrects the problem, if that is safe, and returns a sentence that says what was done.
    key: identifies the problem while its message changes; empty: the message does.
    is_sure: alerts need no second look, because the finding is about a longer time.
    """

    state: State
    message: str
    advice: str = ""
    fix: Callable[[], str] | None = None
    key: str = ""
    is_sure: bool = False


Check = Callable[[], Iterator[Finding]]


def check_database() -> Iterator[Finding]:
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except DatabaseError:
        yield Finding(State.RED, "does not answer", "Start PostgreSQL, or check VLOG_DATABASE_URL.")
        return
    if missing := len(_migrations() - applied.keys()):
        message = f"{missing} migration{pluralize(missing, ' is,s are')} not applied"
        yield Finding(State.RED, message, "Run manage.py migrate.", key="migrations")
    else:
        yield Finding(State.GREEN, "answers, and all migrations are applied")


@cache
def _migrations() -> frozenset[tuple[str, str]]:
    """Return the app and the name of each migration of this release; reading them takes a tenth of a second."""
    return frozenset(MigrationLoader(None).disk_migrations)


def redis_answers() -> bool:
    return next(check_redis()).state == State.GREEN


def check_redis() -> Iterator[Finding]:
    address = redis_client_url(settings.REDIS_URL)
    try:
        with redis.Redis.from_url(address, **REDIS_TIMEOUTS) as client:
            client.ping()
    except redis.RedisError:
        yield Finding(State.RED, "does not answer", "Start Redis, or check VLOG_REDIS_URL.")
    else:
        yield Finding(State.GREEN, "answers")


def check_disk() -> Iterator[Finding]:
    now = disk.usage()
    if now.is_low:
        yield Finding(State.AMBER, "little space is left: uploads and encoding are paused", now.warning)
    else:
        yield Finding(State.GREEN, f"{disk.readable(now.free)} of {disk.readable(now.total)} is free")
