"""The page of viewing figures in the admin."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _

from analytics import reports
from analytics.models import Overview
from vlog import plot
from vlog.sentences import one_or_many

VIEWS = one_or_many("%(day)s: %(number)s view", "%(day)s: %(number)s views")


@admin.register(Overview)
class OverviewAdmin(admin.ModelAdmin):
    """Shows one page of figures in place of a list; no single session or viewer is ever shown."""

    def has_view_permission(self, request: HttpRequest, obj: Overview | None = None) -> bool:
        return request.user.has_perm("analytics.view_playbacksession")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Overview | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Overview | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        return [path("", self.admin_site.admin_view(self.overview), name="analytics_overview_changelist")]

    def overview(self, request: HttpRequest) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        views = [(total.day, total.views) for total in reports.last_days()]
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": _("Statistics"),
            "opts": self.opts,
            "totals": reports.totals(),
            "plots": plot.pair(views, VIEWS),
            "plot_words": plot.in_words(views, _("Views")),
            "top_videos": reports.top_videos(request.user),
            "days": reports.DAYS,
        }
        return TemplateResponse(request, "admin/analytics/overview.html", context)
