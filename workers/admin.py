"""The admin of workers and their keys."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import actions
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from workers import control, fleet, releases, zipapp
from workers.forms import WorkerForm
from workers.models import Worker

ATTEMPTS_SHOWN = 50


class WorkerList(ChangeList):
    """Adds the facts of each worker to the rows of one page, in a fixed number of queries."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        workers = list(self.result_list)
        for worker, facts in zip(workers, fleet.facts_of(workers), strict=True):
            worker.facts = facts
        self.result_list = workers


@admin.register(Worker)
class WorkerAdmin(admin.ModelAdmin):
    """Workers. Nodes register themselves; a remote worker needs a key, which only the answer to a POST shows."""

    list_display = ("name", "state", "last_seen", "current_work", "speed", "failed", "machine")
    list_filter = ("status", "worker_type")
    search_fields = ("worker_name", "worker_id")
    ordering = ("worker_name", "id")
    actions = ("disable", "enable", "drain", "new_key", "revoke", "delete_selected")
    change_form_template = "admin/workers/worker.html"

    class Media:
        js = ("live.js",)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return WorkerList

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and self.has_issue_permission(request)

    def has_issue_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("workers.add_workerapikey")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("workers.change_workerapikey")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"title": _("Workers")})

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = WorkerForm(request.POST or None)
        if form.is_valid():
            try:
                worker, key = control.create(form.cleaned_data["name"], form.cleaned_data["days"])
            except control.Refused as refusal:
                form.add_error("name", str(refusal))
            else:
                self.log_addition(request, worker, "Created with a key.")
                return self._show_key(
                    request, worker, key, _("The worker «%(worker)s» was created.") % {"worker": worker}
                )
        return self._page(request, "add", _("Add a remote worker"), form=form)

    def change_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "POST":
            raise PermissionDenied  # a worker has no editable fields
        return super().change_view(request, *args, **kwargs)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        context |= self._page_context(request, kwargs["obj"])
        return super().render_change_form(request, context, *args, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Worker | None = None) -> tuple[str, ...]:
        return ()  # the page is read-only; its buttons send the actions of the list

    def _page_context(self, request: HttpRequest, worker: Worker) -> dict[str, Any]:
        (worker.facts,) = fleet.facts_of([worker])  # type: ignore[attr-defined]
        attempts = worker.attempts.select_related("job__video").defer("job__plan", "log_tail")
        may_see_keys = request.user.has_perm("workers.view_workerapikey")
        return {
            "title": str(worker),
            "subtitle": None,
            "worker": worker,
            "facts": worker.facts,  # type: ignore[attr-defined]
            "release_advice": releases.advice(worker),
            "capabilities": [
                (name.replace("_", " "), text)
                for name in fleet.CAPABILITIES
                if (text := fleet.capability(worker, name))
            ],
            "keys": worker.api_keys.order_by("-created_at", "-pk") if may_see_keys else None,
            "attempts": attempts.order_by("-started_at")[:ATTEMPTS_SHOWN],
            "may": {
                "change": self.has_change_permission(request, worker),
                "issue": self.has_issue_permission(request),
                "revoke": self.has_revoke_permission(request),
            },
        }

    def _page(self, request: HttpRequest, name: str, title: str, **context: Any) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, "title": title, **context}
        return TemplateResponse(request, f"admin/workers/{name}.html", context)

    def _show_key(self, request: HttpRequest, worker: Worker, key: str, message: str) -> HttpResponse:
        """Show the key in the answer itself, so that no address, flash message or log contains it."""
        context = {"kind": _("Key"), "secret": key, "message": message, "command": control.invitation()}
        context |= {"caution": control.caution(), "check": control.check(), "digest": zipapp.digest()}
        return self._page(request, "key", _("The key of %(worker)s") % {"worker": worker}, row=worker, **context)

    def _cell(self, worker: Worker, column: str) -> SafeString:
        """Render a cell of the list that live.js refreshes."""
        context = {"worker": worker, "facts": worker.facts, "column": column}  # type: ignore[attr-defined]
        return SafeString(render_to_string("admin/workers/cell.html", context))

    @admin.display(description=gettext_lazy("Name"), ordering="worker_name")
    def name(self, worker: Worker) -> str:
        return str(worker)

    @admin.display(description=gettext_lazy("State"), ordering="status")
    def state(self, worker: Worker) -> SafeString:
        return self._cell(worker, "state")

    @admin.display(description=gettext_lazy("Last seen"), ordering="last_heartbeat")
    def last_seen(self, worker: Worker) -> SafeString:
        return self._cell(worker, "last_seen")

    @admin.display(description=gettext_lazy("Current work"))
    def current_work(self, worker: Worker) -> SafeString:
        return self._cell(worker, "current_work")

    @admin.display(description=gettext_lazy("Speed"))
    def speed(self, worker: Worker) -> SafeString:
        return self._cell(worker, "speed")

    @admin.display(description=gettext_lazy("Failed"))
    def failed(self, worker: Worker) -> SafeString:
        return self._cell(worker, "failed")

    @admin.display(description=gettext_lazy("Machine"))
    def machine(self, worker: Worker) -> str:
        return ", ".join(filter(None, [worker.get_worker_type_display(), fleet.machine(worker)]))

    @admin.action(
        description=gettext_lazy("Disable selected workers (chunks of remote workers are revoked)"),
        permissions=["change"],
    )
    def disable(self, request: HttpRequest, queryset: QuerySet[Worker]) -> HttpResponse | None:
        return self._apply(request, queryset, control.disable)

    @admin.action(description=gettext_lazy("Enable selected workers"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Worker]) -> HttpResponse | None:
        return self._apply(request, queryset, control.enable)

    @admin.action(description=gettext_lazy("Drain selected workers (they finish their chunks)"), permissions=["change"])
    def drain(self, request: HttpRequest, queryset: QuerySet[Worker]) -> HttpResponse | None:
        by = request.user.get_username()
        return self._apply(request, queryset, lambda worker: control.drain(worker, by))

    @admin.action(description=gettext_lazy("Issue a new key"), permissions=["issue"])
    def new_key(self, request: HttpRequest, queryset: QuerySet[Worker]) -> HttpResponse | None:
        """Issue a key to one worker: the next page shows only one."""
        if queryset.count() != 1:
            self.message_user(request, _("Select exactly one worker: the next page shows its key."), messages.ERROR)
            return None
        worker = queryset.get()
        try:
            key, message = control.rotate(worker)
        except control.Refused as refusal:
            self.message_user(request, str(refusal), messages.WARNING)
            return self._back(request, worker)
        self.log_change(request, worker, message)
        return self._show_key(request, worker, key, message)

    @admin.action(description=gettext_lazy("Revoke all keys"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Worker]) -> HttpResponse | None:
        """Revoke all keys of the workers, or the one that the button of a worker's page names."""
        prefix = request.POST.get("key", "")
        return self._apply(request, queryset, lambda worker: control.revoke(worker, prefix=prefix))

    @admin.action(description=gettext_lazy("Delete selected workers"), permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Worker]) -> HttpResponse | None:
        if "post" not in request.POST:
            return actions.delete_selected(self, request, queryset)  # the page that asks for confirmation
        return self._apply(request, queryset, control.delete)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except control.Refused as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:workers_worker_change", args=[object_id]))

    def delete_model(self, request: HttpRequest, obj: Worker) -> None:
        control.delete(obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name only the workers: permission to delete them includes their keys."""
        return [str(worker) for worker in objs], {}, set(), []

    def _apply(
        self, request: HttpRequest, queryset: QuerySet[Worker], action: Callable[[Worker], str]
    ) -> HttpResponse | None:
        """Call a function for each worker, log it and show its message."""
        workers = list(queryset)
        for worker in workers:
            try:
                message = action(worker)
            except control.Refused as refusal:
                self.message_user(request, str(refusal), messages.WARNING)
            else:
                self.log_change(request, worker, message)
                self.message_user(request, message, messages.SUCCESS)
        return self._back(request, workers[0]) if workers else None

    def _back(self, request: HttpRequest, worker: Worker) -> HttpResponse | None:
        """Return to the worker's page if its buttons were used; None returns to the list."""
        page = reverse("admin:workers_worker_change", args=[worker.pk])
        return HttpResponseRedirect(page) if "from_page" in request.POST else None
