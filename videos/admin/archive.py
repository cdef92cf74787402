"""Archived videos in the admin: restore or delete permanently."""

from math import ceil
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import localtime, now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from videos import archive
from videos.models import ArchivedVideo, Video, of_editor


@admin.register(ArchivedVideo)
class ArchivedVideoAdmin(admin.ModelAdmin):
    """The archived videos, which can be restored or, with a permission of its own, deleted permanently."""

    list_display = ("title", "address", "archived", "archived_by", "days_left", "size")
    list_select_related = ("archive_entry",)
    list_per_page = 50
    search_fields = ("title", "description", "archive_entry__slug")
    view_on_site = False
    ordering = ("-deleted_at", "-id")
    actions = ("restore_selected",)
    fields = ("title", "address", "description", "status", "archived", "archived_by", "days_left", "size")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[ArchivedVideo]:
        archived = super().get_queryset(request).filter(of_editor(request.user), deleted_at__isnull=False)
        archived = archived.filter(version_of=None)
        return archived.select_related("archive_entry")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.restore_view)
        return [path("<int:video_id>/restore/", view, name="videos_archivedvideo_restore"), *super().get_urls()]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return super().changelist_view(request, {"title": _("Archived videos")})

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = dict(super().get_actions(request))
        if (action := actions.get("delete_selected")) is not None:
            actions["delete_selected"] = (action[0], action[1], _("Delete permanently"))
        return actions

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """List the videos only: the permission to delete them includes their related rows."""
        return [str(video) for video in objs], {}, set(), []

    def delete_model(self, request: HttpRequest, obj: Video) -> None:
        archive.purge(obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ArchivedVideo]) -> None:
        for video in queryset:
            archive.purge(video.pk)

    @admin.display(description=gettext_lazy("Address"))
    def address(self, video: Video) -> str:
        return f"/watch/{video.archive_entry.slug}/"

    @admin.display(description=gettext_lazy("Archived"), ordering="deleted_at")
    def archived(self, video: Video) -> str:
        return date_format(localtime(video.deleted_at), "DATETIME_FORMAT")

    @admin.display(description=gettext_lazy("Archived by"), ordering="archive_entry__archived_by")
    def archived_by(self, video: Video) -> str:
        return video.archive_entry.archived_by

    @admin.display(description=gettext_lazy("Days left"), ordering="deleted_at")
    def days_left(self, video: Video) -> int:
        return max(0, ceil((archive.purge_on(video) - now()).total_seconds() / 86_400))

    @admin.display(description=gettext_lazy("Size"), ordering="archive_entry__size")
    def size(self, video: Video) -> str:
        return filesizeformat(video.archive_entry.size)

    @admin.action(description=gettext_lazy("Restore selected videos"), permissions=["change"])
    def restore_selected(self, request: HttpRequest, queryset: QuerySet[ArchivedVideo]) -> None:
        for video in queryset:
            self._restore(request, video)

    def restore_view(self, request: HttpRequest, video_id: int) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        video = get_object_or_404(self.get_queryset(request), pk=video_id)
        if request.method == "POST":
            self._restore(request, video)
        return HttpResponseRedirect(reverse("admin:videos_archivedvideo_changelist"))

    def _restore(self, request: HttpRequest, video: Video) -> None:
        old = video.archive_entry.slug
        restored = archive.restore(video.pk)
        if restored is None:
            return  # another user has restored or deleted it meanwhile
        self.log_change(request, restored, "Restored from the archive.")
        message = format_html('“<a href="{}">{}</a>” was restored.', restored.get_absolute_url(), restored)
        self.message_user(request, message, messages.SUCCESS)
        if restored.slug != old:
            moved = restored.get_absolute_url()
            warning = _("Another video now uses /watch/%(old)s/, so “%(restored)s” has moved to %(moved)s.") % {
                "old": old,
                "restored": restored,
                "moved": moved,
            }
            self.message_user(request, warning, messages.WARNING)
