"""Workers and their keys of the original VLog."""

from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from videos.moving import vlog_tables
from videos.moving.database import aware
from videos.moving.move import Move, Pair
from workers.models import Worker, WorkerApiKey

SHA256, DIGITS = 1, 64  # the version of the hash there, and its length
UNUSABLE = "imported: another hash"  # in the place of a hash that cannot be compared here
WHAT_TO_DO = "its key is revoked: its hash is Argon2. Issue a new one (manage.py worker key), and give it to the worker"


def load(move: Move) -> None:
    """Import workers, offline until they call, and their keys, which go on working where their hash is SHA-256."""
    move.load("workers", Worker, vlog_tables.WORKERS, lambda rows: list(_workers(rows)))
    move.load("worker_api_keys", WorkerApiKey, vlog_tables.WORKER_KEYS, lambda rows: list(_keys(move, rows)))


def _workers(rows: list[Any]) -> Iterable[Pair]:
    here = {each.worker_id: each for each in Worker.objects.filter(worker_id__in=[row.worker_id for row in rows])}
    for row in rows:
        made = Worker.objects.moved_in(
            is_disabled=row.status == "disabled",
            worker_id=row.worker_id,
            worker_name=row.worker_name,
            worker_type=Worker.Type.REMOTE,
            registered_at=aware(row.registered_at) or timezone.now(),
            last_heartbeat=aware(row.last_heartbeat),
        )
        yield row.id, here.get(row.worker_id) or made


def _keys(move: Move, rows: list[Any]) -> Iterable[Pair]:
    workers = move.new_ids("workers", (row.worker_id for row in rows))
    for row in rows:
        worker = workers.get(row.worker_id)
        if worker is None:
            continue
        is_usable = row.hash_version == SHA256 and len(row.key_hash or "") == DIGITS
        revoked_at = aware(row.revoked_at)
        if not is_usable and revoked_at is None:
            move.report.lose("worker_api_keys", row.id, f"{row.key_prefix}…: {WHAT_TO_DO}")
            revoked_at = timezone.now()
        yield (
            row.id,
            WorkerApiKey(
                worker_id=worker,
                key_hash=row.key_hash if is_usable else UNUSABLE,
                key_prefix=row.key_prefix or "",
                created_at=aware(row.created_at) or timezone.now(),
                expires_at=aware(row.expires_at),
                revoked_at=revoked_at,
                last_used_at=aware(row.last_used_at),
            ),
        )
