"""Videos in the admin: upload, edit, publish, archive."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import DateTimeField, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.defaultfilters import pluralize
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from transcoding import tasks
from transcoding.engine.pictures import NotAPicture
from transcoding.engine.renditions import display_order
from transcoding.queue import disk_quota
from transcoding.steps import posters
from videos import archive, uploads
from videos.formatting import clock
from videos.forms import PosterForm, UploadForm, VideoForm
from videos.models import StorageEntry, Video
from videos.storage.paths import find_media, package_name, package_url, poster_url
from vlog.disk import readable


@admin.register(Video)
class VideoAdmin(admin.ModelAdmin):
    """The videos that are not in the archive."""

    list_display = ("poster", "title", "state", "length", "category", "created")
    list_display_links = ("poster", "title")
    list_filter = ("status", "category")
    list_select_related = ("category", "job")
    list_per_page = 50
    search_fields = ("title", "description", "slug")
    ordering = ("-created_at", "-id")
    autocomplete_fields = ("category",)
    actions = ("retry_failed", "archive_selected")
    # The video may be published while its form is open: the date is saved only if the editor changed it.
    formfield_overrides = {DateTimeField: {"show_hidden_initial": True}}

    class Media:
        js = ("live.js", "upload.js")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Video]:
        return super().get_queryset(request).filter(deleted_at=None)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("space/", wrap(self.space_view), name="videos_video_space"),
            path("<int:video_id>/poster/", wrap(self.poster_view), name="videos_video_poster"),
            *super().get_urls(),
        ]

    def space_view(self, request: HttpRequest) -> JsonResponse:
        """Check before an upload whether a file of `?bytes=` fits: {"error": "" or the reason why not}."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        size = request.GET.get("bytes", "")
        if not (size.isascii() and size.isdecimal() and len(size) < 19):
            return JsonResponse({"error": "Give the size of the file: ?bytes=NUMBER."}, status=400)
        try:
            disk_quota.check(int(size))
        except disk_quota.InsufficientSpace as refusal:
            return JsonResponse({"error": str(refusal)})
        return JsonResponse({"error": ""})

    def get_form(self, request: HttpRequest, obj: Video | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **{**kwargs, "form": VideoForm if obj else UploadForm})

    def get_fieldsets(self, request: HttpRequest, obj: Video | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ("file", "title", "description", "category", "tag_names", "publish_early")})]
        return [
            (None, {"fields": ("progress",)}),
            ("Description", {"fields": ("title", "description", "category", "tag_names")}),
            ("Publication", {"fields": ("slug", "published_at", "publish_early")}),
            ("File", {"fields": ("source_name", "source_size", "length", "storage", "created_at")}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Video | None = None) -> tuple[str, ...]:
        return ("progress", "source_name", "source_size", "length", "storage", "created_at") if obj else ()

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        video = self.get_object(request, unquote(object_id))
        gallery = gallery_of(video) if video and self.has_change_permission(request, video) else None
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "gallery": gallery})

    def poster_view(self, request: HttpRequest, video_id: int) -> HttpResponse:
        """Set the poster: one of the candidates, or an uploaded image."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        video = get_object_or_404(self.get_queryset(request), pk=video_id)
        form = PosterForm(request.POST, request.FILES)
        if request.method == "POST" and form.is_valid():
            self._set_poster(request, video, form)
        elif request.method == "POST":
            self.message_user(request, " ".join(form.messages()), messages.ERROR)
        return HttpResponseRedirect(reverse("admin:videos_video_change", args=[video.pk]) + "#poster")

    def _set_poster(self, request: HttpRequest, video: Video, form: PosterForm) -> None:
        image, number = form.cleaned_data["picture"], form.cleaned_data["candidate"]
        try:
            if image is None:
                changed = posters.choose(video.pk, number)
            else:
                changed = posters.send(video.pk, Path(image.temporary_file_path()))
        except NotAPicture as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        if not changed:
            self.message_user(request, "This image is no longer available. Choose another one.", messages.ERROR)
            return
        self.log_change(request, video, "Changed the poster.")
        self.message_user(request, "The poster was changed.", messages.SUCCESS)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """List the videos only: archiving deletes no related rows."""
        return [str(video) for video in objs], {}, set(), []

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        return super().delete_view(request, object_id, {"retention_days": settings.ARCHIVE_RETENTION_DAYS})

    def delete_model(self, request: HttpRequest, obj: Video) -> None:
        archive.archive(obj.pk, by=request.user.get_username())

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: int) -> HttpResponse:
        self.message_user(request, archived_message([obj_display]), messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:videos_video_changelist"))

    def save_model(self, request: HttpRequest, obj: Video, form: ModelForm, change: bool) -> None:
        if change:
            # Workers write the other columns and may have done so since the row was read.
            obj.save(update_fields=[name for name in form.changed_data if name in VideoForm.Meta.fields])
            return
        data = form.cleaned_data
        video = uploads.accept(
            Path(data["file"].temporary_file_path()),
            name=data["file"].name,
            title=data["title"],
            description=data["description"],
            category=data["category"],
            tags=data["tag_names"],
            publish_early=data["publish_early"],
        )
        obj.__dict__.update(video.__dict__)  # the admin continues with the row that the upload created

    def response_add(self, request: HttpRequest, obj: Video, post_url_continue: str | None = None) -> HttpResponse:
        """Answer upload.js with the next page's address: following a redirect, it would use up that page's message."""
        response = super().response_add(request, obj, post_url_continue)
        if request.headers.get("X-Requested-With") == "XMLHttpRequest" and response.has_header("Location"):
            return HttpResponse(status=HTTPStatus.CREATED, headers={"Location": response["Location"]})
        return response

    def save_related(self, request: HttpRequest, form: ModelForm, formsets: Any, change: bool) -> None:
        if change:  # a new video has its tags already
            super().save_related(request, form, formsets, change)
            form.instance.tags.set(uploads.tags_named(form.cleaned_data["tag_names"]))

    @admin.display(description="")
    def poster(self, video: Video) -> SafeString:
        if video.status != Video.Status.READY:
            return SafeString('<span class="no-poster"></span>')
        return format_html('<img class="poster" src="{}" alt="" loading="lazy">', poster_url(video))

    @admin.display(description="State", ordering="status")
    def state(self, video: Video) -> SafeString:
        return SafeString(render_to_string("admin/videos/state.html", {"video": video}))

    @admin.display(description="State")
    def progress(self, video: Video) -> SafeString:
        job = getattr(video, "job", None)
        rungs = sorted(job.qualities.all(), key=lambda rung: display_order(rung.quality)) if job else []
        return SafeString(render_to_string("admin/videos/progress.html", {"video": video, "job": job, "rungs": rungs}))

    @admin.display(description="Duration", ordering="duration")
    def length(self, video: Video) -> str:
        return clock(video.duration) if video.duration else ""

    @admin.display(description="Created", ordering="created_at")
    def created(self, video: Video) -> SafeString:
        """Show the day only: the exact time would take the width that titles need."""
        moment = localtime(video.created_at)
        day, exact = date_format(moment, "j M Y"), date_format(moment, "DATETIME_FORMAT")
        return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, day)

    @admin.display(description="Resolution")
    def source_size(self, video: Video) -> str:
        return f"{video.source_width} x {video.source_height}" if video.source_width else ""

    @admin.display(description="Disk usage")
    def storage(self, video: Video) -> str:
        entry = getattr(video, "storage_entry", None)
        return describe_storage(entry) if entry else "Not measured yet"

    @admin.action(description="Retry failed", permissions=["change"])
    def retry_failed(self, request: HttpRequest, queryset: QuerySet[Video]) -> None:
        failed = [video for video in queryset.select_related("job") if video.status == Video.Status.FAILED]
        for video in failed:
            tasks.retry(video.job)
        if failed:
            self.message_user(request, f"Retrying {len(failed)} video{pluralize(failed)}.", messages.SUCCESS)
        else:
            self.message_user(request, "None of these videos has failed.", messages.WARNING)

    @admin.action(description="Move to the archive", permissions=["delete"])
    def archive_selected(self, request: HttpRequest, queryset: QuerySet[Video]) -> None:
        """Archive without a confirmation, because it can be undone."""
        by = request.user.get_username()
        titles = [str(video) for video in queryset if archive.archive(video.pk, by)]
        self.log_deletions(request, queryset)
        self.message_user(request, archived_message(titles), messages.SUCCESS)


def describe_storage(entry: StorageEntry) -> str:
    """Return the disk usage as text: "Original: 1.2 GB; renditions: 640.0 MB (1080p 400.0 MB, …)"."""
    order = sorted(entry.folders.items(), key=lambda item: display_order(item[0]))
    each = ", ".join(f"{name} {readable(size)}" for name, size in order)
    parts = [f"Original: {readable(entry.source)}"]
    if entry.renditions:
        parts.append(f"renditions: {readable(entry.renditions)} ({each})")
    if entry.extras:
        parts.append(f"images, captions and playlists: {readable(entry.extras)}")
    return "; ".join(parts)


def gallery_of(video: Video) -> dict[str, Any]:
    """Return the current poster of a video, the candidates that can replace it, and the form for an upload."""
    has_poster = find_media(f"{package_name(video)}/poster.jpg") is not None
    candidates = [
        {"number": number, "is_current": current, "url": package_url(video, posters.candidate_name(number))}
        for number, current in posters.offered(video)
    ]
    return {"poster": poster_url(video) if has_poster else "", "candidates": candidates, "form": PosterForm()}


def archived_message(titles: list[str]) -> SafeString:
    """Return the message after one or more videos were archived."""
    subject = f"“{titles[0]}” was" if len(titles) == 1 else f"{len(titles)} videos were"
    return format_html(
        '{} moved to the archive. <a href="{}">Archived videos</a> can be restored for {} days.',
        subject,
        reverse("admin:videos_archivedvideo_changelist"),
        settings.ARCHIVE_RETENTION_DAYS,
    )
