"""Who makes the videos, as operators see it."""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.timezone import now

from workers.models import Worker


@admin.register(Worker)
class WorkerAdmin(admin.ModelAdmin):
    """Nodes enter and report themselves; operators may only keep them from work, or forget them."""

    list_display = ("worker_name", "worker_type", "state", "heard", "at_work_on", "cores")
    list_filter = ("status", "worker_type")
    list_select_related = ("current_job__video",)
    search_fields = ("worker_name", "worker_id")
    ordering = ("worker_name", "id")
    actions = ("disable", "enable")
    fields = ("worker_name", "worker_type", "state", "heard", "at_work_on", "registered_at", "worker_id", "facts")
    readonly_fields = fields

    class Media:
        js = ("admin_live.js",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        return super().get_queryset(request).select_related("current_job__video")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return super().changelist_view(request, {"title": "Workers"})

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        return super().change_view(request, object_id, form_url, {"show_save": False, "show_save_and_continue": False})

    @admin.display(description="State", ordering="status")
    def state(self, worker: Worker) -> SafeString:
        return self._live(worker, "state", format_html('<span class="label">{}</span>', worker.get_status_display()))

    @admin.display(description="Last heard of", ordering="last_heartbeat")
    def heard(self, worker: Worker) -> SafeString:
        return self._live(worker, "heard", ago(worker.last_heartbeat))

    @admin.display(description="Works on")
    def at_work_on(self, worker: Worker) -> SafeString:
        if worker.current_job is None:
            return self._live(worker, "job", "nothing")
        video = worker.current_job.video
        address = reverse("admin:videos_video_change", args=[video.pk])
        return self._live(worker, "job", format_html('<a href="{}">{}</a>', address, video))

    def _live(self, worker: Worker, what: str, content: str) -> SafeString:
        """A piece of the page that admin_live.js keeps up to date."""
        return format_html(
            '<span class="worker {}" data-live="{}-{}" data-busy>{}</span>', worker.status, what, worker.pk, content
        )

    @admin.display(description="Cores")
    def cores(self, worker: Worker) -> Any:
        return (worker.capabilities or {}).get("cores", "")

    @admin.display(description="What it told of itself")
    def facts(self, worker: Worker) -> str:
        told = {**(worker.capabilities or {}), **(worker.metadata or {})}
        return ", ".join(f"{name}: {value}" for name, value in told.items())

    @admin.action(description="Disable: takes no new work", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[Worker]) -> None:
        number = queryset.exclude(status=Worker.Status.DISABLED).update(status=Worker.Status.DISABLED)
        self.message_user(request, f"{number} disabled. What it works on now, it finishes.", messages.SUCCESS)

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[Worker]) -> None:
        """Its next heartbeat makes it active, if it lives."""
        number = queryset.filter(status=Worker.Status.DISABLED).update(status=Worker.Status.OFFLINE)
        self.message_user(request, f"{number} enabled. Each is active with its next sign of life.", messages.SUCCESS)


def ago(moment: datetime | None) -> str:
    if moment is None:
        return "never"
    seconds = (now() - moment).total_seconds()
    return f"{max(seconds, 0):.0f} s ago" if seconds < 60 else f"{timesince(moment, depth=1)} ago"
