"""The History page of a row in the admin: what the audit log says of it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import PAGE_VAR
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from vlog import audit
from vlog.models import AuditEntry

PER_PAGE = 50


class Change(NamedTuple):
    """A value before and after, as text."""

    name: str
    before: str
    after: str


class HistoryAdmin(admin.ModelAdmin):
    """An admin whose rows have their history in the audit log, for everybody who may see them."""

    object_history_template = "admin/history.html"

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return super().history_view(request, object_id, extra_context)
        paginator = Paginator(audit.entries_of(row), PER_PAGE)
        page = paginator.get_page(request.GET.get(PAGE_VAR))
        entries = [(entry, list(changes_of(entry))) for entry in page]
        shown = {"page": page, "page_range": paginator.get_elided_page_range(page.number), "entries": entries}
        return super().history_view(request, object_id, {**(extra_context or {}), **shown})


def changes_of(entry: AuditEntry) -> Iterator[Change]:
    """Yield each value of an entry before and after."""
    before, after = entry.before or {}, entry.after or {}
    for name in {**before, **after}:
        yield Change(
            capfirst(pgettext("name", name.replace("_", " "))), as_text(before.get(name)), as_text(after.get(name))
        )


def as_text(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return "\n".join(map(str, value))
    return "" if value is None else str(value)
