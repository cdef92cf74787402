"""Who asks: a remote worker, by its key."""

import re
import time
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import connection
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, PermissionDenied, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from transcoding.engine.contract import PROTOCOL
from vlog import ratelimit
from vlog.connections import skip_health_check
from workers import keys
from workers.models import Worker, WorkerApiKey

HEARD_AGAIN = timedelta(seconds=10)  # between two notes that a worker lives, so that an idle fleet costs little
# Of one worker and its key. The commit waits for no disk: after a crash of the database the next call says it again.
NOTE = """
WITH quick AS (SELECT set_config('synchronous_commit', 'off', TRUE)),
     used AS (UPDATE worker_api_keys SET last_used_at = %(now)s WHERE id = %(key)s)
UPDATE workers SET last_heartbeat = %(now)s, status = CASE status WHEN 'offline' THEN 'active' ELSE status END
FROM quick WHERE id = %(worker)s
"""
SPAN = 10  # seconds in which requests are counted
MOST_REQUESTS = 2000  # of one worker in that time; one that copies from a fast disk needs some hundreds
MOST_BAD_KEYS = 20  # from one address in that time
VERSION = re.compile(r"\d{1,9}", re.ASCII)


class AgentTooOld(APIException):
    status_code = 426
    default_detail = "This agent is too old for the site, or no agent: fetch agent.pyz from the site anew."


class KeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer KEY`. The request's user is the worker, its auth the key's row."""

    def authenticate(self, request: Request) -> tuple[Worker, WorkerApiKey]:
        kind, _, key = request.headers.get("Authorization", "").partition(" ")
        row = skip_health_check(partial(keys.find, key)) if kind.lower() == "bearer" else None
        if row is None:
            raise _unknown(request, bool(kind))
        # Only now: whoever sends bad keys from the same address stands in nobody's way.
        if _pace.is_too_fast(row.worker_id):
            raise Throttled(SPAN, "This worker asks too often.")
        _note(row)
        if row.worker.status == Worker.Status.DISABLED:
            raise PermissionDenied("This worker is disabled: an administrator of the site may enable it.")
        version = request.headers.get("VLog-Agent", "")
        if not VERSION.fullmatch(version) or int(version) < PROTOCOL:
            raise AgentTooOld
        return row.worker, row

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class Pace:
    """Counts the requests of each worker to this process: a connection stays with one, and so does who keeps it."""

    def __init__(self) -> None:
        self._span, self._asked = 0, Counter[int]()

    def is_too_fast(self, worker: int) -> bool:
        span = int(time.monotonic()) // SPAN
        if span != self._span:
            self._span, self._asked = span, Counter()
        self._asked[worker] += 1
        return self._asked[worker] > MOST_REQUESTS


_pace = Pace()


class HasKey(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.auth, WorkerApiKey)


def _unknown(request: Request, brought_one: bool) -> APIException:
    if brought_one and ratelimit.count(f"bad-keys:{request.META.get('REMOTE_ADDR')}", SPAN) > MOST_BAD_KEYS:
        return Throttled(SPAN, "Too many unknown keys came from this address.")
    return AuthenticationFailed("Send a worker's key, which is not revoked or expired, as Authorization: Bearer KEY.")


def _note(row: WorkerApiKey) -> None:
    """That the worker lives and its key is used, as far as this is news."""
    worker, now = row.worker, timezone.now()
    noted = [moment for moment in (worker.last_heartbeat, row.last_used_at) if moment is not None]
    if worker.status == Worker.Status.OFFLINE or len(noted) < 2 or now - min(noted) > HEARD_AGAIN:
        with connection.cursor() as cursor:
            cursor.execute(NOTE, {"now": now, "key": row.pk, "worker": worker.pk})
