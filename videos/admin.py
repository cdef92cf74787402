"""What editors do."""

from pathlib import Path
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, DateTimeField, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime

from transcoding import tasks
from videos import uploads
from videos.forms import UploadForm, VideoForm
from videos.models import Category, Tag, Video
from videos.storage import package_url
from videos.templatetags.video_extras import clock

ALIVE = Q(videos__deleted_at=None)


@admin.register(Video)
class VideoAdmin(admin.ModelAdmin):
    list_display = ("picture", "title", "state", "length", "category", "created")
    list_display_links = ("picture", "title")
    list_filter = ("status", "category")
    list_select_related = ("category", "job")
    list_per_page = 50
    search_fields = ("title", "description", "slug")
    ordering = ("-created_at", "-id")
    autocomplete_fields = ("category",)
    actions = ("try_again",)
    # The video may be published while its form lies open: the date is written only if the editor changed it.
    formfield_overrides = {DateTimeField: {"show_hidden_initial": True}}

    class Media:
        js = ("admin_live.js", "upload.js")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Video]:
        return super().get_queryset(request).filter(deleted_at=None)

    def get_form(self, request: HttpRequest, obj: Video | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **{**kwargs, "form": VideoForm if obj else UploadForm})

    def get_fieldsets(self, request: HttpRequest, obj: Video | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ("file", "title", "description", "category", "tag_names")})]
        return [
            (None, {"fields": ("progress",)}),
            ("What viewers read", {"fields": ("title", "description", "category", "tag_names")}),
            ("Publication", {"fields": ("slug", "published_at")}),
            ("The file", {"fields": ("source_name", "source_size", "length", "created_at")}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Video | None = None) -> tuple[str, ...]:
        return ("progress", "source_name", "source_size", "length", "created_at") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Video | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Video, form: ModelForm, change: bool) -> None:
        if change:
            # The rest of the row is the workers', who may have written it since it was read.
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
        )
        obj.__dict__.update(video.__dict__)  # the admin goes on with the row that the upload made

    def save_related(self, request: HttpRequest, form: ModelForm, formsets: Any, change: bool) -> None:
        if change:  # an upload has its tags already
            super().save_related(request, form, formsets, change)
            form.instance.tags.set(uploads.tags_named(form.cleaned_data["tag_names"]))

    @admin.display(description="")
    def picture(self, video: Video) -> SafeString:
        if video.status != Video.Status.READY:
            return SafeString('<span class="no-poster"></span>')
        return format_html('<img class="poster" src="{}" alt="" loading="lazy">', package_url(video, "poster.jpg"))

    @admin.display(description="State", ordering="status")
    def state(self, video: Video) -> SafeString:
        return SafeString(render_to_string("admin/videos/state.html", {"video": video}))

    @admin.display(description="State")
    def progress(self, video: Video) -> SafeString:
        job = getattr(video, "job", None)
        rungs = sorted(job.qualities.all(), key=lambda rung: -int(rung.quality[:-1])) if job else []
        return SafeString(render_to_string("admin/videos/progress.html", {"video": video, "job": job, "rungs": rungs}))

    @admin.display(description="Duration", ordering="duration")
    def length(self, video: Video) -> str:
        return clock(video.duration) if video.duration else ""

    @admin.display(description="Created", ordering="created_at")
    def created(self, video: Video) -> SafeString:
        """The day alone: the exact time would cost the titles their room."""
        moment = localtime(video.created_at)
        day, exact = date_format(moment, "j M Y"), date_format(moment, "DATETIME_FORMAT")
        return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, day)

    @admin.display(description="Size in pixels")
    def source_size(self, video: Video) -> str:
        return f"{video.source_width} x {video.source_height}" if video.source_width else ""

    @admin.action(description="Try again what failed", permissions=["change"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Video]) -> None:
        failed = [video for video in queryset.select_related("job") if video.status == Video.Status.FAILED]
        for video in failed:
            tasks.retry(video.job)
        if failed:
            self.message_user(request, f"{len(failed)} taken up again.", messages.SUCCESS)
        else:
            self.message_user(request, "None of these videos has failed.", messages.WARNING)


class NamedAdmin(admin.ModelAdmin):
    """Categories and tags: a name, an address, and how many videos."""

    list_display = ("name", "slug", "number_of_videos")
    search_fields = ("name",)
    prepopulated_fields = {"slug": ("name",)}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).annotate(number=Count("videos", filter=ALIVE))

    @admin.display(description="Videos", ordering="number")
    def number_of_videos(self, row: Any) -> int:
        number: int = row.number
        return number


@admin.register(Category)
class CategoryAdmin(NamedAdmin):
    fields = ("name", "slug", "description")


@admin.register(Tag)
class TagAdmin(NamedAdmin):
    fields = ("name", "slug")
