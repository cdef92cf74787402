"""The storage page of the admin."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transcoding.queue import disk_quota
from videos.models import StorageEntry, through_video
from videos.storage import ledger
from vlog import disk
from vlog.disk import readable


@admin.register(StorageEntry)
class StorageAdmin(admin.ModelAdmin):
    """The disk usage of each video, the largest first; read-only."""

    list_display = ("video_title", "total_size", "original_size", "renditions_size", "extras_size", "location")
    list_display_links = None
    list_select_related = ("video",)
    list_per_page = 50
    search_fields = ("video__title",)
    empty_value_display = ""
    change_list_template = "admin/videos/storage.html"

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.changelist_view)
        return [path("", view, name="videos_storageentry_changelist")]

    def get_queryset(self, request: HttpRequest) -> QuerySet[StorageEntry]:
        return super().get_queryset(request).filter(through_video(request.user)).annotate(all_bytes=ledger.TOTAL)

    def get_ordering(self, request: HttpRequest) -> tuple[Any, ...]:
        return (ledger.TOTAL.desc(), "pk")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("videos.view_video")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        figures = {"disk": disk.usage(), "reserved": disk_quota.reserved(), "totals": ledger.totals()}
        return super().changelist_view(request, {"title": _("Storage"), **figures})

    @admin.display(description=gettext_lazy("Video"), ordering="video__title")
    def video_title(self, entry: StorageEntry) -> SafeString:
        name = "videos_archivedvideo_change" if entry.video.deleted_at else "videos_video_change"
        address = reverse(f"admin:{name}", args=[entry.video.version_of_id or entry.pk])
        version = _(", another version of its file") if entry.video.version_of_id else ""
        return format_html('<a href="{}">{}</a>{}', address, entry.video, version)

    @admin.display(description=gettext_lazy("Disk usage"), ordering="all_bytes")
    def total_size(self, entry: StorageEntry) -> str:
        return readable(entry.total)

    @admin.display(description=gettext_lazy("Original"), ordering="source")
    def original_size(self, entry: StorageEntry) -> str:
        return readable(entry.source)

    @admin.display(description=gettext_lazy("Renditions"), ordering="renditions")
    def renditions_size(self, entry: StorageEntry) -> str:
        return readable(entry.renditions)

    @admin.display(description=gettext_lazy("Images, captions"), ordering="extras")
    def extras_size(self, entry: StorageEntry) -> str:
        return readable(entry.extras)

    @admin.display(description=gettext_lazy("Location"), ordering="video__deleted_at")
    def location(self, entry: StorageEntry) -> str:
        return _("Archive") if entry.video.deleted_at else _("Site")
