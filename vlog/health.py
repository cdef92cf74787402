"""Whether this process lives, and whether the site can serve. For load balancers and supervisors; needs no account."""

from collections.abc import Callable

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from vlog import disk
from vlog.environment import redis_client_url

TIMEOUTS = {"socket_timeout": 2, "socket_connect_timeout": 2}


class NotReady(Exception):
    """A sentence for the operator, without addresses or passwords: anybody may read it."""


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 or 503 with {"ready": bool, "checks": {name: "ok" or a sentence}}.

    A disk without room is told and is no reason for 503: pages and videos are served as before.
    """
    checks = {"database": _outcome(_check_database), "redis": _outcome(_check_redis)}
    ready = set(checks.values()) == {"ok"}
    checks["disk"] = _outcome(_check_disk)
    return JsonResponse({"ready": ready, "checks": checks}, status=200 if ready else 503)


def _outcome(check: Callable[[], None]) -> str:
    try:
        check()
    except NotReady as error:
        return str(error)
    return "ok"


def _check_database() -> None:
    try:
        executor = MigrationExecutor(connection)
    except DatabaseError as error:
        raise NotReady("does not answer") from error
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        raise NotReady(f"{len(missing)} migrations are not applied: run manage.py migrate")


def redis_answers() -> bool:
    return _outcome(_check_redis) == "ok"


def _check_redis() -> None:
    address = redis_client_url(settings.REDIS_URL)
    try:
        with redis.Redis.from_url(address, **TIMEOUTS) as client:
            client.ping()
    except redis.RedisError as error:
        raise NotReady("does not answer") from error


def _check_disk() -> None:
    if disk.look().is_low:
        raise NotReady("there is little room left: uploads and encoding pause")
