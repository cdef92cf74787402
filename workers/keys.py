"""The API keys of remote workers: issue, find, revoke."""

import hmac
import re
import secrets
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from hashlib import sha256

from django.db.models import Q, QuerySet
from django.utils import timezone

from vlog import queries
from workers.models import Worker, WorkerApiKey

PREFIX = 8  # characters that a key is looked up by
LENGTH = 43  # characters: 256 random bits in URL-safe base64
KEY = re.compile(rf"[\w-]{{{LENGTH}}}", re.ASCII)


def issue(worker: Worker, expires_at: datetime | None = None) -> tuple[str, WorkerApiKey]:
    """Make a key; returns it and its row. The key is not stored, so it cannot be shown again."""
    key = secrets.token_urlsafe(32)
    row = worker.api_keys.create(key_hash=digest(key), key_prefix=key[:PREFIX], expires_at=expires_at)
    return key, row


def find(key: str) -> WorkerApiKey | None:
    """Return the row of a valid key, with its worker; one query."""
    if not KEY.fullmatch(key):
        return None
    hashed, now = digest(key), timezone.now()
    found = next((row for row in _beginning_with(key[:PREFIX]) if hmac.compare_digest(row.key_hash, hashed)), None)
    return None if found is None or (found.expires_at is not None and found.expires_at <= now) else found


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


def digest(key: str) -> str:
    """Return the stored hash of a key: 256 random bits need no salt and no slow hash."""
    return sha256(key.encode()).hexdigest()
