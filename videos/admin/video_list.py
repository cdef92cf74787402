"""The admin of the list of videos."""

from hashlib import sha256
from typing import Any

from django.conf import settings
from django.contrib.admin.views.main import ERROR_FLAG, ORDER_VAR, PAGE_VAR
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import gettext as _

from videos.admin.bulk import BulkAdmin, last_edit
from videos.admin.list_filters import FILTERS
from videos.admin.listing import DEFERRED, RELATED, ListPaginator, VideoList, search
from videos.admin.saved_views import SavedViewsAdmin
from videos.admin.versions import VersionedAdmin
from videos.models import Video


class VideoListAdmin(VersionedAdmin, SavedViewsAdmin, BulkAdmin):
    """The list of the videos that are not in the archive."""

    list_display = ("title",)  # the columns are those of templates/admin/videos/video/rows.html
    list_display_links = None
    list_filter = FILTERS
    list_select_related = RELATED
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    search_fields = ("title",)  # of the autocomplete field of other forms; `get_search_results` searches more
    ordering = ("-created_at", "-id")
    unversioned_actions = ("retry_failed", "transcribe", "re_encode")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[VideoList]:
        return VideoList

    def get_paginator(
        self,
        request: HttpRequest,
        queryset: QuerySet[Video],
        per_page: int,
        orphans: int = 0,
        allow_empty_first_page: bool = True,
    ) -> Paginator:
        parameters = sorted((name, values) for name, values in request.GET.lists() if name not in UNCOUNTED)
        key = sha256(repr((request.user.pk, parameters)).encode()).hexdigest()
        rows = self.get_queryset(request).select_related(*RELATED).defer(*DEFERRED)
        known, is_small = getattr(request, "known_count", None), getattr(request, "finds_few", False)
        return ListPaginator(
            queryset, per_page, orphans, allow_empty_first_page, rows=rows, key=key, known=known, is_small=is_small
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Video], search_term: str
    ) -> tuple[QuerySet[Video], bool]:
        videos, request.finds_few = search(queryset, search_term)  # type: ignore[attr-defined]
        return videos, False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        context = {
            "title": _("Videos"),
            "last_edit": last_edit(request) if request.method == "GET" else None,
            "retention_days": settings.ARCHIVE_RETENTION_DAYS,
            "zone": get_current_timezone_name(),
            "has_change_permission": self.has_change_permission(request),
            "may": self.get_actions(request),
            "has_folders": bool(settings.IMPORTS.folders),
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)


UNCOUNTED = {PAGE_VAR, ORDER_VAR, ERROR_FLAG}  # parameters that do not change how many rows there are
