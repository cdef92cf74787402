"""Authentication of remote workers by their API keys, and the rate limits of the worker API."""

import re
import time
from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException, AuthenticationFailed, PermissionDenied, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from transcoding.engine.contract import PROTOCOL
from vlog import ratelimit
from vlog.connections import skip_health_check
from vlog.environment import Limit
from workers import keys
from workers.models import Worker, WorkerApiKey

HEARTBEAT_INTERVAL = timedelta(seconds=10)  # between two writes for one worker, so that an idle fleet costs little
WINDOW = 10  # seconds in which requests are counted
MAX_REQUESTS = 2000  # of one worker to one process per window; copying from a fast disk takes some hundreds
BAD_KEYS = Limit(20, WINDOW)  # of each client
VERSION = re.compile(r"\d{1,9}", re.ASCII)


class AgentTooOld(APIException):
    status_code = 426
    default_detail = "This agent is too old for the site: download agent.pyz from the site again."


class KeyAuthentication(BaseAuthentication):
    """Authenticates `Authorization: Bearer KEY`: request.user is the worker, request.auth the row of its key."""

    def authenticate(self, request: Request) -> tuple[Worker, WorkerApiKey]:
        kind, _, key = request.headers.get("Authorization", "").partition(" ")
        row = skip_health_check(partial(keys.find, key)) if kind.lower() == "bearer" else None
        if row is None:
            raise _refusal(request, has_key=bool(kind))
        # Counted after the key is known, so that bad keys from the same address do not block good ones.
        if _requests.add(row.worker_id) > MAX_REQUESTS:
            raise Throttled(WINDOW, "This worker sends too many requests.")
        _record_call(row)
        if row.worker.status == Worker.Status.DISABLED:
            raise PermissionDenied("This worker is disabled. An administrator of the site can enable it.")
        version = request.headers.get("VLog-Agent", "")
        if not VERSION.fullmatch(version) or int(version) < PROTOCOL:
            raise AgentTooOld
        return row.worker, row

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class RequestCounter:
    """Counts the requests of each worker to this process in the current window.

    The counter is not shared, because a count in Redis would cost an idle worker's claim a quarter of its time. A
    persistent connection always reaches the same process.
    """

    def __init__(self) -> None:
        self._window, self._requests = 0, Counter[int]()

    def add(self, worker: int) -> int:
        """Count a request, and return the number of requests of this worker."""
        window = int(time.monotonic()) // WINDOW
        if window != self._window:
            self._window, self._requests = window, Counter()
        self._requests[worker] += 1
        return self._requests[worker]


_requests = RequestCounter()


class HasKey(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return isinstance(request.auth, WorkerApiKey)


def _refusal(request: Request, *, has_key: bool) -> APIException:
    if has_key and (wait := ratelimit.wait(ratelimit.client(request._request), "bad-keys", BAD_KEYS)):
        return Throttled(wait, "Too many unknown keys were sent from this address.")
    return AuthenticationFailed("Send the worker's key, neither revoked nor expired, as Authorization: Bearer KEY.")


def _record_call(row: WorkerApiKey) -> None:
    """Record the worker's heartbeat and the use of its key, unless both were recorded a moment ago."""
    worker, now = row.worker, timezone.now()
    recorded = [moment for moment in (worker.last_heartbeat, row.last_used_at) if moment is not None]
    if worker.status == Worker.Status.OFFLINE or len(recorded) < 2 or now - min(recorded) > HEARTBEAT_INTERVAL:
        row.record_use(now)
