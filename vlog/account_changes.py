"""What the audit log tells of accounts: logins, and changes of users, groups and permissions.

Signals of Django, because its own views and commands change accounts, too. They record, and decide nothing.
"""

from datetime import timedelta
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models import Model, QuerySet
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.http import HttpRequest
from django.utils import timezone

from vlog import audit
from vlog.models import AuditEntry

FAILED, FAILED_UNKNOWN = "failed to log in as", "failed to log in"
FAILURE_INTERVAL = timedelta(minutes=1)
MAX_FAILURES = 20  # entries within the interval; more would fill the table in a flood
RECORDED: dict[type[Model], tuple[str, ...]] = {
    User: ("username", "first_name", "last_name", "email", "is_active", "is_staff", "is_superuser"),
    Group: ("name",),
}
# For each table in between, the names of the relation in both directions.
MEMBERSHIPS = {
    User.groups.through: ("groups", "user_set"),
    User.user_permissions.through: ("user_permissions", "user_set"),
    Group.permissions.through: ("permissions", "group_set"),
}


def connect() -> None:
    """Begin to record. Each receiver is connected once, however often this is called."""
    user_logged_in.connect(_logged_in, dispatch_uid="audit")
    user_logged_out.connect(_logged_out, dispatch_uid="audit")
    user_login_failed.connect(_failed, dispatch_uid="audit")
    for model in [model for model in apps.get_models() if model._meta.concrete_model in RECORDED]:  # proxies, too
        pre_save.connect(_read_before, sender=model, dispatch_uid="audit")
        post_save.connect(_saved, sender=model, dispatch_uid="audit")
        post_delete.connect(_deleted, sender=model, dispatch_uid="audit")
    for through in MEMBERSHIPS:
        m2m_changed.connect(_members_changed, sender=through, dispatch_uid="audit")


def _logged_in(sender: object, request: HttpRequest, user: User, **kwargs: object) -> None:
    audit.record("logged in", actor=user, request=request)


def _logged_out(sender: object, request: HttpRequest, user: User | None, **kwargs: object) -> None:
    if user is not None:
        audit.record("logged out", actor=user, request=request)


def _failed(sender: object, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: object) -> None:
    """Record a wrong password; a guess that was refused unread costs no query."""
    if getattr(request, "refusal", None):
        return
    name = str(credentials.get(User.USERNAME_FIELD, "")).replace("\0", "").encode(errors="replace").decode()
    record_failed_login(request, User.objects.filter(username=name).first())


def record_failed_login(request: HttpRequest | None, account: User | None) -> None:
    """Record a failed login, once for an account and an address within a minute.

    account: None for an unknown one, whose name is not recorded: people type passwords there, and anyone can invent
    names.
    """
    subject, address = str(account.pk) if account else "", audit.address_of(request)
    since = timezone.now() - FAILURE_INTERVAL
    entries = AuditEntry.objects.filter(action__in=[FAILED, FAILED_UNKNOWN], at__gte=since).values_list(
        "subject_id", "address"
    )
    recent = list(entries[:MAX_FAILURES])
    if len(recent) < MAX_FAILURES and (subject, address) not in recent:
        audit.record(FAILED if account else FAILED_UNKNOWN, actor="", request=request, subject=account)


def _read_before(sender: type[Model], instance: Any, update_fields: Any = None, **kwargs: object) -> None:
    """Remember the values in the database until the instance is saved; nothing where no recorded value is written."""
    columns = {*_columns(instance), *(["password"] if isinstance(instance, User) else [])}
    is_written = update_fields is None or columns & set(update_fields)
    rows = sender._default_manager.filter(pk=instance.pk).values(*columns)
    instance._recorded = rows.first() if instance.pk and is_written else None


def _saved(
    sender: type[Model], instance: Any, created: bool = False, update_fields: Any = None, **kwargs: object
) -> None:
    if created:
        audit.record("created", subject=instance, after=_values(instance))
        return
    if (before := instance._recorded) is None:
        return
    after = _values(instance)
    changed = [name for name in after if before[name] != after[name] and (not update_fields or name in update_fields)]
    if changed:
        old, new = ({name: values[name] for name in changed} for values in (before, after))
        audit.record("changed", subject=instance, before=old, after=new)
    if isinstance(instance, User) and _has_new_password(instance, before["password"], update_fields):
        audit.record("changed the password of", subject=instance)


def _has_new_password(user: Any, before: str, update_fields: Any) -> bool:
    """Return whether another password is stored, not the same one with a newer hash, as a login does."""
    is_rehashed = user._password is None and set(update_fields or ()) == {"password"}
    return user.password != before and not is_rehashed


def _deleted(sender: type[Model], instance: Any, **kwargs: object) -> None:
    audit.record("deleted", subject=instance, before=_values(instance))


def _values(instance: Model) -> dict[str, Any]:
    return {name: getattr(instance, name) for name in _columns(instance)}


def _columns(instance: Model) -> tuple[str, ...]:
    return RECORDED[instance._meta.concrete_model or type(instance)]


def _members_changed(  # noqa: PLR0913 - the arguments of the signal
    sender: Any,
    instance: Any,
    action: str,
    reverse: bool,
    model: type[Model],
    pk_set: Any,
    **kwargs: object,
) -> None:
    """Record the groups or permissions of an account before and after, by their names."""
    if action not in ("post_add", "post_remove", "pre_clear"):
        return
    relation = MEMBERSHIPS[sender][reverse]
    now = _names(getattr(instance, relation).all())
    moved = _names(model._default_manager.filter(pk__in=pk_set or ()))
    before, after = {
        "post_add": (now - moved, now),
        "post_remove": (now | moved, now),
        "pre_clear": (now, set()),
    }[action]
    if before != after:
        audit.record("changed", subject=instance, before={relation: sorted(before)}, after={relation: sorted(after)})


def _names(rows: QuerySet[Any]) -> set[str]:
    if rows.model is Permission:
        return {f"{app}.{name}" for app, name in rows.values_list("content_type__app_label", "codename")}
    return set(map(str, rows))
