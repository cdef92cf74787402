"""The audit log: who did what, when, from where. `record` is the only function that writes it.

The actor is known without being passed on: the user of the request that this thread answers, or `worker:` and the name
of its worker, `command:` and the system's user in a command, and `vlog` in a task.
"""

import os
import pwd
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any

from celery import current_task
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from vlog.models import ApiToken, AuditEntry, Via

SITE = "vlog"  # the actor of tasks
BATCH = 5000  # rows that are pruned in one transaction
MAX_READ = 200  # entries of a row, for the last change of each value

Values = Mapping[str, Any]
_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)
_person: ContextVar[tuple[User, str] | None] = ContextVar("person", default=None)


def remember_request(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Return the middleware that tells `record` whose request is being answered."""

    def respond(request: HttpRequest) -> HttpResponse:
        previous = _request.set(request)
        try:
            return get_response(request)
        finally:
            _request.reset(previous)

    return respond


@contextmanager
def on_behalf_of(person: User, via: str) -> Iterator[None]:
    """Name this person as the actor of what the block does, and from where they asked for it, also in a task."""
    token = _person.set((person, via))
    try:
        yield
    finally:
        _person.reset(token)


def record(  # noqa: PLR0913 - the columns of an entry
    action: str,
    *,
    actor: User | str | None = None,
    request: HttpRequest | None = None,
    subject: Model | None = None,
    before: Values | None = None,
    after: Values | None = None,
    via: str | None = None,
) -> None:
    """Write an entry, which reads `actor action subject`: an action is a verb in the past tense, such as `restored`.

    before, after: the values that changed, as JSON has them; never a secret. via: from where it was done, if that is
    not what this thread does. Call it in the transaction of the change, so that neither happens without the other.
    """
    request = request or _request.get()
    actor_id, name = _identity(actor, request)
    token = getattr(request, "auth", None)
    AuditEntry.objects.create(
        action=action,
        actor=name[:150],
        actor_id=actor_id,
        token_prefix=token.key_prefix if isinstance(token, ApiToken) else "",
        address=address_of(request),
        subject_type=_type_of(subject) if subject else "",
        subject_id=str(subject.pk) if subject else "",
        subject=str(subject)[:255] if subject else "",
        before=before,
        after=after,
        via=_via(request) if via is None else via,
    )


def actor() -> str:
    """Return the name of who acts now, as an entry would have it."""
    return _identity(None, _request.get())[1][:150]


def entries_of(subject: Model) -> QuerySet[AuditEntry]:
    """Return what was done with a row, the latest first."""
    entries = AuditEntry.objects.filter(subject_type=_type_of(subject), subject_id=str(subject.pk))
    return entries.order_by("-at", "-id")


def last_changes(subject: Model) -> dict[str, AuditEntry]:
    """Return for each value of a row the entry of its last change, if that is among the latest MAX_READ entries."""
    found: dict[str, AuditEntry] = {}
    for entry in entries_of(subject)[:MAX_READ]:
        for name in {**(entry.before or {}), **(entry.after or {})}:
            found.setdefault(name, entry)
    return found


def _type_of(subject: Model) -> str:
    """Return the name of a model, such as `videos.video`; that of a proxy is its table's."""
    return (subject._meta.concrete_model or type(subject))._meta.label_lower


def address_of(request: HttpRequest | None) -> str | None:
    """Return the address of the client; None over a Unix socket and outside of requests."""
    try:
        return str(ip_address(request.META.get("REMOTE_ADDR", ""))) if request else None
    except ValueError:
        return None


def _identity(actor: User | str | None, request: HttpRequest | None) -> tuple[int | None, str]:
    """Return the id and the name of the actor; a visitor without an account has neither."""
    if actor is None:
        person = _person.get()
        actor = person[0] if person else getattr(request, "user", None)
    if isinstance(actor, User):
        return actor.pk, actor.get_username()
    if isinstance(actor, Model):  # a worker, which has a key of its own
        return None, f"{actor._meta.model_name}:{actor}"
    return None, actor if isinstance(actor, str) else "" if request else _program()


def _via(request: HttpRequest | None) -> str:
    """Return from where this thread acts: see `Via`."""
    if (person := _person.get()) is not None:
        return person[1]
    if request is None:
        return Via.TASK if current_task else Via.COMMAND
    if request.path_info.startswith("/api/"):
        return Via.API
    match = request.resolver_match
    if match is None or match.app_name != "admin":
        return ""
    return Via.LIST if str(match.url_name).endswith("_changelist") else Via.FORM


def _program() -> str:
    """Return the actor outside of requests."""
    if current_task:
        return SITE
    # Not getpass.getuser(), which believes the environment.
    try:
        return f"command:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:  # a container may run as a user without a name
        return f"command:{os.getuid()}"


def prune() -> int:
    """Delete the entries older than VLOG_AUDIT_DAYS, in short transactions; returns their number."""
    limit = timezone.now() - timedelta(days=settings.AUDIT_DAYS)
    total = 0
    while number := _prune_batch(limit):
        total += number
    return total


def _prune_batch(limit: datetime) -> int:
    oldest = AuditEntry.objects.filter(at__lt=limit).order_by("at", "id").values("pk")[:BATCH]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('vlog.pruning', 'on', TRUE)")
        return AuditEntry.objects.filter(pk__in=oldest).delete()[0]
