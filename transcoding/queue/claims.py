"""The query that finds the chunk to claim; `transcoding.models.claim` has the statements that claim it."""

from functools import lru_cache
from typing import Any, cast

from django.db.models import Q

from transcoding.models import TranscodingChunk
from transcoding.queue import eligibility
from vlog import queries
from workers.models import Worker

ANY_WORKER = Worker(pk=-1, worker_id="any")  # stands for the worker in a query that is composed for all workers


def find(worker: Worker, kind: str, job: int | None, skipped: tuple[int, ...] = ()) -> TranscodingChunk | None:
    """Lock and return the first chunk of a kind that a worker may claim; call it in a transaction.

    job: only of this one; skipped: the chunks that it leaves to others.
    """
    abilities = (eligibility.encoders_of(worker), eligibility.formats_of(worker))
    sql, values = _find_query(kind, *abilities, job, skipped)
    own: dict[Any, Any] = {ANY_WORKER.pk: worker.pk, ANY_WORKER.worker_id: worker.worker_id}
    found = queries.fetch(sql, [own.get(value, value) for value in values], TranscodingChunk)
    return next((cast(TranscodingChunk, chunk) for (chunk,) in found), None)


@lru_cache(maxsize=64)
def _find_query(
    kind: str, encoders: tuple[str, ...], formats: tuple[int, ...], job: int | None, skipped: tuple[int, ...]
) -> queries.Query:
    """Compose the query once for all workers with these abilities: that takes longer than the query itself."""
    ANY_WORKER.capabilities = {"encoders": list(encoders), "plan_formats": list(formats)}
    rows = TranscodingChunk.objects.claimable().filter(eligibility.suits(ANY_WORKER, kind), of(job), kind=kind)
    ordered = rows.exclude(pk__in=skipped).in_order_of_work()
    return queries.compile_query(ordered.select_for_update(skip_locked=True, of=("self",))[:1])


def of(job: int | None) -> Q:
    """Return the condition for the chunks of one job, or of all."""
    return Q() if job is None else Q(job=job)
