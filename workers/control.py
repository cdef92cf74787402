"""What operators do with workers: create, rotate and revoke keys, disable, drain, enable, delete.

Each function returns the message to show, or raises Refused with one. One that was interrupted can be run again.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from transcoding.models import ChunkStatus
from transcoding.queue import recovery
from transcoding.queue.wakeups import notify_workers
from vlog import audit
from vlog.environment import is_loopback
from vlog.sentences import counted
from workers import keys, zipapp
from workers.models import SILENT_SECONDS, Worker, WorkerApiKey, WorkerQuerySet

NAME = re.compile(r"\w(?:[\w.-]{0,98}\w)?")
TURN = 0x776F726B  # the number of the advisory lock under which names are checked


class Refused(Exception):
    """The action is not possible now; the message says why, and what to do instead."""


def create(name: str, days: int | None = None) -> tuple[Worker, str]:
    """Create a remote worker and its key, which expires after so many days or never; the key is shown only now."""
    if not NAME.fullmatch(name):
        raise Refused(
            _(
                "%(name)s cannot be a worker's name: that has 1 to 100 letters, digits, dots, hyphens and "
                "underscores, and begins and ends with a letter or digit."
            )
            % {"name": repr(name)}
        )
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [TURN])  # the schema allows a name twice
        if Worker.objects.filter(worker_name=name).exists():
            raise Refused(
                _(
                    "There is a worker «%(name)s» already. Choose another name, or make another key for it: "
                    "manage.py worker rotate %(name)s"
                )
                % {"name": name}
            )
        worker = Worker.objects.create_offline(name)
        key, row = keys.issue(worker, _end(days))
        audit.record("created", subject=worker, after=_facts(row))
    return worker, key


def rotate(worker: Worker, days: int | None = None, *, now: bool = False) -> tuple[str, str]:
    """Make another key; returns it and a message. The older keys stay valid, unless they are revoked now."""
    if worker.worker_type == Worker.Type.LOCAL:
        raise Refused(_("«%(worker)s» is a node of this installation, which needs no key.") % {"worker": worker})
    with transaction.atomic():
        key, row = keys.issue(worker, _end(days))
        audit.record("created a key of", subject=worker, after=_facts(row))
        if now:
            return key, f"«{worker}» has a new key. {_revoke_keys(worker, keep=row)}"
    has_older = keys.usable().filter(worker=worker).exclude(pk=row.pk).exists()
    older = _(" The older keys are still valid: revoke them when the new one is in use.") * has_older
    return key, _("«%(worker)s» has a new key.%(older)s") % {"worker": worker, "older": older}


def revoke(worker: Worker, *, older: bool = False, prefix: str = "") -> str:
    """Revoke all keys; older: all but the newest valid one; prefix: the one that begins with it.

    A worker without a key cannot deliver, so its chunks are released.
    """
    rows = keys.usable().filter(worker=worker)
    if older:
        newest = rows.order_by("created_at", "pk").last()
        if newest is None:
            raise Refused(
                _("«%(worker)s» has no valid key, so none is older. Make one: manage.py worker rotate %(worker)s")
                % {"worker": worker}
            )
        message = _revoke_keys(worker, keep=newest)
    else:
        if prefix and not worker.api_keys.filter(key_prefix__startswith=prefix, revoked_at=None).exists():
            raise Refused(
                _("«%(worker)s» has no key %(prefix)s… that could be revoked. See: manage.py worker show %(worker)s")
                % {"worker": worker, "prefix": prefix}
            )
        message = _revoke_keys(worker, prefix=prefix)
    back = "" if rows.exists() or worker.worker_type == Worker.Type.LOCAL else _revoke(worker, "its key was revoked")
    return f"«{worker}»: {message}{back}"


def disable(worker: Worker) -> str:
    """Disable a worker; the chunks of a remote worker are released, a node finishes its own."""
    _change(worker, "disabled", WorkerQuerySet.disable)  # first, so that it cannot claim again
    if worker.worker_type == Worker.Type.LOCAL:
        return _("«%(worker)s» is disabled. It finishes its present chunk.") % {"worker": worker}
    return f"«{worker}» is disabled.{_revoke(worker, 'the worker was disabled')}"


def enable(worker: Worker) -> str:
    """Enable a disabled, drained or suspended worker; its next heartbeat makes it active."""
    _change(worker, "enabled", WorkerQuerySet.enable)
    return _("«%(worker)s» is enabled. It is active with its next heartbeat.") % {"worker": worker}


def drain(worker: Worker, by: str) -> str:
    """Let a worker finish its chunks and claim nothing new."""
    _change(worker, "drained", lambda rows: rows.drain(by))
    return _("«%(worker)s» is drained: it finishes its chunks and claims nothing new until it is enabled.") % {
        "worker": worker
    }


def delete(worker: Worker) -> str:
    """Forget a worker with its keys; what it has gone back first. The record of what it made keeps its name."""
    if worker.worker_type == Worker.Type.REMOTE:
        disable(worker)
    with transaction.atomic():
        row = Worker.objects.select_for_update().filter(pk=worker.pk).first()  # no claim can refer to it meanwhile
        if row is None:
            return _("«%(worker)s» is gone.") % {"worker": worker}
        if row.worker_type == Worker.Type.LOCAL and _is_running(row):
            raise Refused(
                _(
                    "«%(worker)s» is running and would enter itself again: stop it first. It counts as running "
                    "until it has been silent for %(silent_seconds)s s."
                )
                % {"worker": worker, "silent_seconds": SILENT_SECONDS}
            )
        if row.chunks.filter(status=ChunkStatus.RUNNING).exists():
            raise Refused(
                _("«%(worker)s» still has a chunk: remove it after the chunk is finished or its lease has expired.")
                % {"worker": worker}
            )
        audit.record("deleted", subject=row)
        row.delete()
    return _("«%(worker)s» is deleted. What it made keeps its name in the record.") % {"worker": worker}


def invitation() -> str:
    """The command that starts the agent on another machine; it waits for the key, which so is in no shell's history."""
    site = settings.BASE_URL
    return (
        f"curl -fsSO {site}/api/worker/v1/agent.pyz && {check()} && (umask 077; cat > worker.key) && "
        f"python3 agent.pyz {site} --key-file worker.key"
    )


def check() -> str:
    """Return the command that compares a downloaded agent with the one that this site sends."""
    return f"echo '{zipapp.digest()}  agent.pyz' | sha256sum --check"


def caution() -> str:
    """Return why the invitation does not work on another machine, and what to do; empty where it works."""
    site = settings.BASE_URL
    if not is_loopback(urlsplit(site).hostname or ""):
        return ""
    return _(
        "%(site)s is the address of this machine only: set VLOG_BASE_URL to an address that other "
        "machines can reach, and restart VLog."
    ) % {"site": site}


def _is_running(node: Worker) -> bool:
    """Return whether a node runs: a stopped one is offline, or disabled and without heartbeats."""
    since = timezone.now() - timedelta(seconds=SILENT_SECONDS)
    return node.status != Worker.Status.OFFLINE and node.last_heartbeat is not None and node.last_heartbeat >= since


def _end(days: int | None) -> datetime | None:
    return None if days is None else timezone.now() + timedelta(days=days)


def _revoke(worker: Worker, reason: str) -> str:
    chunks = recovery.revoke(worker, reason)
    for chunk in chunks:
        notify_workers(chunk.kind)
    return f" {counted(len(chunks), 'chunk')} released." if chunks else ""


def _revoke_keys(worker: Worker, *, keep: WorkerApiKey | None = None, prefix: str = "") -> str:
    """Revoke keys, as `keys.revoke` does, and return the message."""
    with transaction.atomic():
        if number := keys.revoke(worker, keep=keep, prefix=prefix):
            left = keys.usable().filter(worker=worker).values_list("key_prefix", flat=True)
            audit.record("revoked keys of", subject=worker, after={"revoked": number, "valid": list(left)})
    return f"{counted(number, 'key')} revoked."


def _facts(key: WorkerApiKey) -> dict[str, Any]:
    return {"key": key.key_prefix, "expires_at": key.expires_at}


def _change(worker: Worker, action: str, change: Callable[[WorkerQuerySet], None]) -> None:
    """Change the state of a worker, and record it."""
    rows, columns = Worker.objects.filter(pk=worker.pk), ("status", "held_back")
    with transaction.atomic():
        before = rows.values(*columns).first()
        change(rows)
        audit.record(action, subject=worker, before=before, after=rows.values(*columns).first())
