"""The API keys of remote workers: issue, find, revoke."""

from collections.abc import Iterator
from datetime import datetime
from functools import cache

from django.db.models import Q, QuerySet
from django.utils import timezone

from vlog import keys, queries
from workers.models import Worker, WorkerApiKey


def issue(worker: Worker, expires_at: datetime | None = None) -> tuple[str, WorkerApiKey]:
    """Make a key; returns it and its row. The key is not stored, so it cannot be shown again."""
    key = keys.new()
    row = worker.api_keys.create(key_hash=keys.digest(key), key_prefix=keys.prefix(key), expires_at=expires_at)
    return key, row


def find(key: str) -> WorkerApiKey | None:
    """Return the row of a valid key, with its worker; one query."""
    if not keys.is_well_formed(key):
        return None
    found = keys.matching(key, _beginning_with(keys.prefix(key)))
    return None if found is None or (found.expires_at is not None and found.expires_at <= timezone.now()) else found


def _beginning_with(prefix: str) -> Iterator[WorkerApiKey]:
    """Yield the keys with a prefix that are not revoked, with their workers.

    Every call of a worker begins with this, so the query is compiled once: that takes longer than all the rest.
    """
    for row, worker in queries.fetch(_beginning_query(), [prefix], WorkerApiKey, Worker):
        row.worker = worker
        yield row


@cache
def _beginning_query() -> str:
    rows = WorkerApiKey.objects.filter(key_prefix="", revoked_at=None).select_related("worker")
    return queries.compile_query(rows)[0]


def usable() -> QuerySet[WorkerApiKey]:
    """Return the keys that are neither revoked nor expired."""
    return WorkerApiKey.objects.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)


def revoke(worker: Worker, *, keep: WorkerApiKey | None = None, prefix: str = "") -> int:
    """Revoke all keys of a worker (keep: but this one; prefix: only that with it), and return their number.

    The rows are kept as a record.
    """
    rows = worker.api_keys.filter(revoked_at=None, key_prefix__startswith=prefix)
    if keep is not None:
        rows = rows.exclude(pk=keep.pk)
    return rows.update(revoked_at=timezone.now())
