"""The admin of the list of videos."""

from hashlib import sha256
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ERROR_FLAG, ORDER_VAR, PAGE_VAR
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat

from videos.admin.bulk import BulkAdmin, last_edit
from videos.admin.list_filters import FILTERS
from videos.admin.listing import DEFERRED, RELATED, ListPaginator, VideoList, search, size_order, spaced
from videos.admin.saved_views import SavedViewsAdmin
from videos.admin.versions import VersionedAdmin
from videos.models import SavedView, Video


class VideoListAdmin(VersionedAdmin, SavedViewsAdmin, BulkAdmin):
    """The list of the videos that are not in the archive."""

    list_display = ("name", "mark", "plays", "size", "added")
    list_display_links = None
    list_filter = FILTERS
    list_select_related = RELATED
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    search_fields = ("title",)  # of the autocomplete field of other forms; `get_search_results` searches more
    ordering = ("-created_at", "-id")
    unversioned_actions = ("retry_failed", "transcribe", "encode_again")

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
        known = getattr(request, "known_count", None)
        return ListPaginator(queryset, per_page, orphans, allow_empty_first_page, rows=rows, key=key, known=known)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Video], search_term: str
    ) -> tuple[QuerySet[Video], bool]:
        return search(queryset, search_term), False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        views = SavedView.objects.filter(user=request.user.pk)
        context = {"title": "Videos", "last_edit": last_edit(request), "views": views, **(extra_context or {})}
        return super().changelist_view(request, context)

    @admin.display(description="Video", ordering="title")
    def name(self, video: Video) -> str:
        return video.title

    @admin.display(description="Visibility", ordering="visibility")
    def mark(self, video: Video) -> str:
        return video.visibility

    @admin.display(description="Plays", ordering="view_count")
    def plays(self, video: Video) -> str:
        return spaced(video.view_count)

    @admin.display(description="Size", ordering=size_order())
    def size(self, video: Video) -> str:
        return filesizeformat(video.storage_entry.total)

    @admin.display(description="Added", ordering="created_at")
    def added(self, video: Video) -> str:
        return str(video.created_at)


UNCOUNTED = {PAGE_VAR, ORDER_VAR, ERROR_FLAG}  # parameters that do not change how many rows there are
