"""Health pages for load balancers and supervisors, without a login: is the process alive, can the site serve?

`manage.py doctor` runs the same checks and more: settings.DOCTOR lists them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.defaultfilters import pluralize
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from vlog import disk
from vlog.environment import REDIS_TIMEOUTS, redis_client_url


class State(IntEnum):
    """Works; works, but needs attention; does not work."""

    GREEN = 0
    AMBER = 1
    RED = 2


@dataclass(frozen=True)
class Finding:
    """One result of a check. advice: what an operator should do, empty if the state is green.

    fix: corrects the problem, if that is safe, and returns a sentence that says what was done.
    """

    state: State
    message: str
    advice: str = ""
    fix: Callable[[], str] | None = None


Check = Callable[[], Iterator[Finding]]


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 or 503 with {"ready": bool, "checks": {name: "ok" or a message}}.

    The page is public, so it gives no advice. A full disk is reported but is no reason for 503: pages and videos are
    still served.
    """
    findings = {"database": next(check_database()), "redis": next(check_redis()), "disk": next(check_disk())}
    ready = all(finding.state != State.RED for finding in findings.values())
    checks = {name: finding.message if finding.state else "ok" for name, finding in findings.items()}
    return JsonResponse({"ready": ready, "checks": checks}, status=200 if ready else 503)


def check_database() -> Iterator[Finding]:
    try:
        executor = MigrationExecutor(connection)
    except DatabaseError:
        yield Finding(State.RED, "does not answer", "Start PostgreSQL, or check VLOG_DATABASE_URL.")
        return
    if missing := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        yield Finding(
            State.RED,
            f"{len(missing)} migration{pluralize(len(missing), ' is,s are')} not applied",
            "Run manage.py migrate.",
        )
    else:
        yield Finding(State.GREEN, "answers, and all migrations are applied")


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
