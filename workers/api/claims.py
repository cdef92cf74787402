"""The calls by which a worker registers and claims chunks."""

import functools
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.response import Response

from transcoding.engine.contract import Assignment, LeaseLost
from transcoding.engine.package import files
from transcoding.models import TranscodingChunk
from transcoding.queue.local import LocalQueue
from transcoding.steps import queues
from videos.storage.paths import root
from vlog import queries
from workers.api import serializers
from workers.api.requests import NotNow, WorkerView, validated
from workers.api.schema import described
from workers.models import Worker

MIN_INTERVAL, MAX_INTERVAL = 2, 60  # seconds between two claims of an idle worker
LARGE_FLEET = 1000  # workers, which then claim once in MAX_INTERVAL
COUNT_SECONDS = 10  # for which the size of the fleet is cached
LOCK_SECONDS = 60  # after which a claim whose process died may be repeated
REPEAT_SECONDS = 3600  # within which a repeated claim returns the same assignment
FIELDS = ("chunk", "attempt", "kind", "title", "first", "last", "tier", "urgent")
NO_SOURCE = "The original is not in the storage: put it back, or upload the video again."


class HeartbeatView(WorkerView):
    """Store what the worker is and can do."""

    @described({200: serializers.RegisteredSerializer}, request=serializers.HeartbeatSerializer)
    def post(self, request: Request) -> Response:
        message = validated(serializers.HeartbeatSerializer, request.data)
        if columns := serializers.changed_columns(self.worker, message):
            Worker.objects.filter(pk=self.worker.pk).update(**columns)
        return Response({"worker": str(self.worker), "again_in": again_in(), "kinds": serializers.REMOTE_KINDS})


class ClaimView(WorkerView):
    """Claim a chunk. It also counts as a heartbeat."""

    @described({200: serializers.ClaimedSerializer}, request=serializers.ClaimSerializer)
    def post(self, request: Request) -> Response:
        message = validated(serializers.ClaimSerializer, request.data)
        assignment = self._repeated(message["claim"]) or self._claim(message["claim"], message["kinds"])
        return Response({"assignment": assignment, "again_in": again_in(), "held_back": self.worker.held_back})

    def _key(self, claim: UUID) -> str:
        return f"claim:{self.worker.pk}:{claim}"

    def _repeated(self, claim: UUID) -> dict[str, Any] | None:
        """Return the assignment that this claim was answered with before, as long as its lease holds."""
        if (known := cache.get(self._key(claim))) is None:
            return None
        chunk, attempt, first = known
        with suppress(LeaseLost):
            queue, assignment = queues.resume(self.worker, chunk, attempt)
            return _description(queue, replace(assignment, first=first))
        return None

    def _claim(self, claim: UUID, kinds: list[str]) -> dict[str, Any] | None:
        kinds = queues.offered(kinds)
        # Most claims of idle workers find nothing; this query costs a fraction of a claim.
        if self.worker.held_back or not kinds or not queries.has_rows(*_pending_query(tuple(kinds))):
            return None
        lock = f"{self._key(claim)}:lock"
        if not cache.add(lock, 1, LOCK_SECONDS):
            raise NotNow("The same claim is being answered by another request: repeat it later.", 1)
        try:
            return self._claim_first(claim, kinds)
        finally:
            cache.delete(lock)

    def _claim_first(self, claim: UUID, kinds: list[str]) -> dict[str, Any] | None:
        """Claim a chunk of the first kind that has one, and remember the answer."""
        for kind in kinds:
            queue = queues.queue_for(kind, self.worker)
            if (assignment := queue.claim([kind])) is not None:
                known = [assignment.chunk, assignment.attempt, assignment.first]
                cache.set(self._key(claim), known, REPEAT_SECONDS)
                return _description(queue, assignment)
        return None


def _description(queue: LocalQueue, assignment: Assignment) -> dict[str, Any] | None:
    """Return an assignment as the worker is sent it. Without its source the chunk fails, and None is returned."""
    try:
        path = root() / assignment.source
        source = {"size": path.stat().st_size, "etag": files.version(path)}
    except FileNotFoundError:
        queue.fail(assignment, NO_SOURCE)
        return None
    return {
        **{name: getattr(assignment, name) for name in FIELDS},
        "plan": queue.plans[assignment.chunk],  # as it is stored: composing it takes longer than all the rest
        "lease": settings.LEASE_SECONDS,
        "source": source,
        **queue.details(assignment),
    }


def again_in() -> int:
    """Return the seconds until an idle worker claims again; a larger fleet waits longer, which limits the load."""
    number = cache.get_or_set("remote-workers", _remote_workers, COUNT_SECONDS) or 0
    return min(max(MIN_INTERVAL, MAX_INTERVAL * number // LARGE_FLEET), MAX_INTERVAL)


def _remote_workers() -> int:
    return Worker.objects.filter(worker_type=Worker.Type.REMOTE, status=Worker.Status.ACTIVE).count()


@functools.lru_cache(maxsize=16)
def _pending_query(kinds: tuple[str, ...]) -> queries.Query:
    """Return the query that finds one claimable chunk of any of these kinds."""
    return queries.compile_query(TranscodingChunk.objects.claimable().filter(kind__in=kinds).values("pk")[:1])
