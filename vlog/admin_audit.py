"""The audit log in the admin: read, filtered, never changed."""

import json
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from vlog import audit
from vlog.models import AuditEntry

MAX_PEOPLE = 200  # in the filter; the search finds everyone, also deleted accounts
MAX_SHOWN = 300  # characters of a change in the list; the page of the entry has all
COMMANDS = "command:"


class ActorFilter(admin.SimpleListFilter):
    title = gettext_lazy("who")
    parameter_name = "who"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        staff = User.objects.filter(is_staff=True).order_by("username").values_list("username", flat=True)
        people = [(name, name) for name in staff[:MAX_PEOPLE]]
        return [*people, (COMMANDS, _("Commands")), (audit.SITE, _("VLog itself"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        if (who := self.value()) is None or "\0" in who:
            return queryset
        return queryset.filter(actor__startswith=who) if who == COMMANDS else queryset.filter(actor=who)


class ActionFilter(admin.AllValuesFieldListFilter):
    """The actions that there are, in the language of the page."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for one in super().choices(changelist):
            yield {**one, "display": pgettext("audit", str(one["display"]))}


@admin.register(AuditEntry)
class AuditEntryAdmin(admin.ModelAdmin):
    """The entries, newest first. None can be added, changed or deleted; PostgreSQL refuses it, too."""

    list_display = ("when", "sentence", "change", "via", "address")
    list_filter = (ActorFilter, ("action", ActionFilter), "via", "at")
    list_per_page = 100
    show_full_result_count = False  # it would count the whole table
    search_fields = ("=actor", "subject", "=subject_id", "=address", "=token_prefix")
    search_help_text = gettext_lazy(
        "The name of an account or of a subject, an id, an address, or the prefix of a token"
    )
    ordering = ("-at", "-id")
    fields = ("when", "who", "token", "done", "what", "subject_id", "via", "address", "old", "new")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"title": _("Audit log")})

    @admin.display(description=gettext_lazy("When"), ordering="at")
    def when(self, entry: AuditEntry) -> str:
        return f"{localtime(entry.at):%Y-%m-%d %H:%M:%S}"

    @admin.display(description=gettext_lazy("What happened"))
    def sentence(self, entry: AuditEntry) -> str:
        return (
            _("%(entry)s, with the token %(token_prefix)s…") % {"entry": entry, "token_prefix": entry.token_prefix}
            if entry.token_prefix
            else str(entry)
        )

    @admin.display(description=gettext_lazy("Before → after"))
    def change(self, entry: AuditEntry) -> str:
        return Truncator("; ".join(_differences(entry.before or {}, entry.after or {}))).chars(MAX_SHOWN)

    @admin.display(description=gettext_lazy("Who"))
    def who(self, entry: AuditEntry) -> str:
        if not entry.actor_id:
            return entry.who
        return _("%(who)s (account %(number)s)") % {"who": entry.who, "number": entry.actor_id}

    @admin.display(description=gettext_lazy("Action"))
    def done(self, entry: AuditEntry) -> str:
        return entry.did

    @admin.display(description=gettext_lazy("With the token"))
    def token(self, entry: AuditEntry) -> str:
        return entry.token_prefix and f"{entry.token_prefix}…"

    @admin.display(description=gettext_lazy("Subject"))
    def what(self, entry: AuditEntry) -> str:
        return entry.what

    @admin.display(description=gettext_lazy("Before"))
    def old(self, entry: AuditEntry) -> SafeString | str:
        return _as_text(entry.before)

    @admin.display(description=gettext_lazy("After"))
    def new(self, entry: AuditEntry) -> SafeString | str:
        return _as_text(entry.after)


def _as_text(values: Any) -> SafeString | str:
    if values is None:
        return ""
    return format_html("<pre>{}</pre>", json.dumps(values, indent=2, ensure_ascii=False))


def _differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Yield a text such as `email: a → b` for each value; of two lists, what was added and what was removed."""
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if isinstance(old, list) and isinstance(new, list):
            signed = [f"+ {one}" for one in new if one not in old] + [f"- {one}" for one in old if one not in new]
            yield f"{name}: {', '.join(signed)}"
        elif name in before and name in after and old != new:
            yield f"{name}: {_short(old)} → {_short(new)}"
        elif old != new and (only := _short(after.get(name, old))) != _("none"):
            yield f"{name}: {only}"


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return _("none") if value in (None, "") else str(value)
