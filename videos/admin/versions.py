"""The admin of rows with a version: forms and actions change what the editor saw, or nothing."""

from typing import Any

from django.contrib import messages
from django.contrib.admin import helpers
from django.contrib.admin.utils import unquote
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from videos import history
from vlog import audit
from vlog.admin_history import HistoryAdmin

MAX_NAMED = 10  # rows in one message


class VersionedAdmin(HistoryAdmin):
    """The base of the admin of videos, categories and tags. The forms of its rows are `VersionedForm`s."""

    unversioned_actions: tuple[str, ...] = ()  # those that change nothing that an editor edits

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Add the hidden version to the first fieldset."""
        fieldsets = super().get_fieldsets(request, obj)
        return with_version(fieldsets) if obj and self.has_change_permission(request, obj) else fieldsets

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """Lock the row that is saved, so that the version stays the one that is compared, and record what changes."""
        row = self.get_object(request, unquote(object_id)) if object_id and request.method == "POST" else None
        if row is None:
            return super().changeform_view(request, object_id, form_url, extra_context)
        with transaction.atomic():
            locked = self.model._default_manager.select_for_update(no_key=True).filter(pk=row.pk).first()
            if locked is None:
                return super().changeform_view(request, object_id, form_url, extra_context)
            with history.recorded(locked):
                return super().changeform_view(request, object_id, form_url, extra_context)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Say what others changed meanwhile, where the form has kept it."""
        super().save_related(request, form, formsets, change)
        if merged := getattr(form, "merged", ()):
            fields = ", ".join(merged)
            self.message_user(
                request, _("Changed by others meanwhile, and kept: %(fields)s.") % {"fields": fields}, messages.INFO
            )

    def action_checkbox(self, obj: Any) -> SafeString:
        """Add the version that the list shows."""
        checkbox = super().action_checkbox(obj)
        return format_html('{}<input type="hidden" name="version-{}" value="{}">', checkbox, obj.pk, obj.version)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any) -> HttpResponse | None:
        """Leave out the rows that were changed since the list was loaded, and say so.

        With "Select all", this holds for the rows on the page; the others are changed as they are.
        """
        if request.POST.get("action") in self.unversioned_actions:
            return super().response_action(request, queryset, *args)
        chosen = request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)
        rows = list(queryset.filter(pk__in=[pk for pk in chosen if pk.isdecimal()]))
        changed = [row for row in rows if request.POST.get(f"version-{row.pk}") != str(row.version)]
        if changed:
            self.message_user(request, skipped_message(changed), messages.WARNING)
        if rows and len(changed) == len(rows) and request.POST.get("select_across") != "1":
            return HttpResponseRedirect(request.get_full_path())
        return super().response_action(request, queryset.exclude(pk__in=[row.pk for row in changed]), *args)


def with_version(fieldsets: Any) -> Any:
    (title, options), *others = fieldsets
    return [(title, {**options, "fields": (*options["fields"], "from_version")}), *others]


def skipped_message(rows: list[Any]) -> str:
    """Return the message about rows that an action has skipped, with the last change of each."""
    named = "; ".join(f"“{row}”{_last_change(row)}" for row in rows[:MAX_NAMED])
    more = _("; and %(number)s more") % {"number": len(rows) - MAX_NAMED} if len(rows) > MAX_NAMED else ""
    return _(
        "Skipped, because they were changed after this list was loaded: %(named)s%(more)s. Look at them, and try again."
    ) % {"named": named, "more": more}


def _last_change(row: Any) -> str:
    entry = audit.entries_of(row).first()
    return f" ({entry.who}, {entry.when})" if entry else ""
