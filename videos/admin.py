"""What editors do."""

from math import ceil
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Count, DateTimeField, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.defaultfilters import filesizeformat
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime, now

from transcoding import posters, room, tasks
from transcoding.pictures import NotAPicture
from videos import archive, ledger, merging, uploads
from videos.forms import PosterForm, UploadForm, VideoForm
from videos.models import ArchivedVideo, Category, StorageEntry, Tag, Video
from videos.storage import find_media, package_name, package_url, poster_url
from videos.templatetags.video_extras import clock
from videos.uploads import clean
from vlog import disk
from vlog.disk import readable

ALIVE = Q(videos__deleted_at=None)
SUGGESTIONS = 10


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
    actions = ("try_again", "archive_selected")
    # The video may be published while its form lies open: the date is written only if the editor changed it.
    formfield_overrides = {DateTimeField: {"show_hidden_initial": True}}

    class Media:
        js = ("admin_live.js", "upload.js")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Video]:
        return super().get_queryset(request).filter(deleted_at=None)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("room/", wrap(self.room_view), name="videos_video_room"),
            path("<int:video_id>/poster/", wrap(self.poster_view), name="videos_video_poster"),
            *super().get_urls(),
        ]

    def room_view(self, request: HttpRequest) -> JsonResponse:
        """Whether a file of `?bytes=` would be taken, asked before it is sent: {"told": "" or why not}."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        size = request.GET.get("bytes", "")
        if not (size.isascii() and size.isdecimal() and len(size) < 19):
            return JsonResponse({"told": "Say how large the file is: ?bytes=NUMBER."}, status=400)
        try:
            room.check(int(size))
        except room.NoRoom as refusal:
            return JsonResponse({"told": str(refusal)})
        return JsonResponse({"told": ""})

    def get_form(self, request: HttpRequest, obj: Video | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **{**kwargs, "form": VideoForm if obj else UploadForm})

    def get_fieldsets(self, request: HttpRequest, obj: Video | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ("file", "title", "description", "category", "tag_names", "publish_early")})]
        return [
            (None, {"fields": ("progress",)}),
            ("What viewers read", {"fields": ("title", "description", "category", "tag_names")}),
            ("Publication", {"fields": ("slug", "published_at", "publish_early")}),
            ("The file", {"fields": ("source_name", "source_size", "length", "storage", "created_at")}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Video | None = None) -> tuple[str, ...]:
        return ("progress", "source_name", "source_size", "length", "storage", "created_at") if obj else ()

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        video = self.get_object(request, unquote(object_id))
        gallery = gallery_of(video) if video and self.has_change_permission(request, video) else None
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "gallery": gallery})

    def poster_view(self, request: HttpRequest, video_id: int) -> HttpResponse:
        """Take one of the pictures that are offered, or the editor's own, as the poster."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        video = get_object_or_404(self.get_queryset(request), pk=video_id)
        form = PosterForm(request.POST, request.FILES)
        if request.method == "POST" and form.is_valid():
            self._take_poster(request, video, form)
        elif request.method == "POST":
            self.message_user(request, " ".join(form.sentences()), messages.ERROR)
        return HttpResponseRedirect(reverse("admin:videos_video_change", args=[video.pk]) + "#poster")

    def _take_poster(self, request: HttpRequest, video: Video, form: PosterForm) -> None:
        sent, number = form.cleaned_data["picture"], form.cleaned_data["candidate"]
        try:
            if sent is None:
                taken = posters.choose(video.pk, number)
            else:
                taken = posters.send(video.pk, Path(sent.temporary_file_path()))
        except NotAPicture as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        if not taken:
            self.message_user(request, "This picture is not offered any more. Choose another one.", messages.ERROR)
            return
        self.log_change(request, video, "Chose another poster.")
        self.message_user(request, "The poster is changed.", messages.SUCCESS)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Nothing that hangs on a video goes with it into the archive."""
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
            publish_early=data["publish_early"],
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
        return format_html('<img class="poster" src="{}" alt="" loading="lazy">', poster_url(video))

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

    @admin.display(description="On the disk")
    def storage(self, video: Video) -> str:
        """Such as: The file: 1.2 GB; renditions: 640.0 MB (1080p 400.0 MB, …)."""
        entry = getattr(video, "storage_entry", None)
        return told_storage(entry) if entry else "not measured yet"

    @admin.action(description="Try again what failed", permissions=["change"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Video]) -> None:
        failed = [video for video in queryset.select_related("job") if video.status == Video.Status.FAILED]
        for video in failed:
            tasks.retry(video.job)
        if failed:
            self.message_user(request, f"{len(failed)} taken up again.", messages.SUCCESS)
        else:
            self.message_user(request, "None of these videos has failed.", messages.WARNING)

    @admin.action(description="Move to the archive", permissions=["delete"])
    def archive_selected(self, request: HttpRequest, queryset: QuerySet[Video]) -> None:
        """Without asking again: it can be undone."""
        by = request.user.get_username()
        titles = [str(video) for video in queryset if archive.archive(video.pk, by)]
        self.log_deletions(request, queryset)
        self.message_user(request, archived_message(titles), messages.SUCCESS)


def told_storage(entry: StorageEntry) -> str:
    order = sorted(entry.folders.items(), key=lambda item: -int(item[0][:-1]) if item[0] != "audio" else 0)
    each = ", ".join(f"{'sound' if name == 'audio' else name} {readable(size)}" for name, size in order)
    parts = [f"The file: {readable(entry.source)}"]
    if entry.renditions:
        parts.append(f"renditions: {readable(entry.renditions)} ({each})")
    if entry.extras:
        parts.append(f"pictures, captions and playlists: {readable(entry.extras)}")
    return "; ".join(parts)


def gallery_of(video: Video) -> dict[str, Any]:
    """What the video's page shows of its pictures: the poster, and those that an editor can choose instead."""
    there = find_media(f"{package_name(video)}/poster.jpg") is not None
    offered = [
        {"number": number, "is_current": current, "url": package_url(video, posters.candidate_name(number))}
        for number, current in posters.offered(video)
    ]
    return {"poster": poster_url(video) if there else "", "offered": offered, "form": PosterForm()}


def archived_message(titles: list[str]) -> SafeString:
    what = f"“{titles[0]}” is" if len(titles) == 1 else f"{len(titles)} videos are"
    return format_html(
        '{} in the archive. The <a href="{}">archived videos</a> can be restored for {} days.',
        what,
        reverse("admin:videos_archivedvideo_changelist"),
        settings.ARCHIVE_RETENTION_DAYS,
    )


@admin.register(ArchivedVideo)
class ArchivedVideoAdmin(admin.ModelAdmin):
    """What the archive holds: to be restored, or deleted for good with a permission of its own."""

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
        return super().get_queryset(request).filter(deleted_at__isnull=False).select_related("archive_entry")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.restore_view)
        return [path("<int:video_id>/restore/", view, name="videos_archivedvideo_restore"), *super().get_urls()]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return super().changelist_view(request, {"title": "Archived videos"})

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = dict(super().get_actions(request))
        if (action := actions.get("delete_selected")) is not None:
            actions["delete_selected"] = (action[0], action[1], "Delete for good")
        return actions

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The videos alone: whoever may delete them may delete what hangs on them."""
        return [str(video) for video in objs], {}, set(), []

    def delete_model(self, request: HttpRequest, obj: Video) -> None:
        archive.purge(obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ArchivedVideo]) -> None:
        for video in queryset:
            archive.purge(video.pk)

    @admin.display(description="Address")
    def address(self, video: Video) -> str:
        return f"/watch/{video.archive_entry.slug}/"

    @admin.display(description="Archived", ordering="deleted_at")
    def archived(self, video: Video) -> str:
        return date_format(localtime(video.deleted_at), "DATETIME_FORMAT")

    @admin.display(description="By", ordering="archive_entry__archived_by")
    def archived_by(self, video: Video) -> str:
        return video.archive_entry.archived_by

    @admin.display(description="Days left", ordering="deleted_at")
    def days_left(self, video: Video) -> int:
        return max(0, ceil((archive.purge_on(video) - now()).total_seconds() / 86_400))

    @admin.display(description="Size", ordering="archive_entry__size")
    def size(self, video: Video) -> str:
        return filesizeformat(video.archive_entry.size)

    @admin.action(description="Restore", permissions=["change"])
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
            return  # somebody else did it in the meantime
        self.log_change(request, restored, "Restored from the archive.")
        message = format_html('“<a href="{}">{}</a>” is back.', restored.get_absolute_url(), restored)
        self.message_user(request, message, messages.SUCCESS)
        if restored.slug != old:
            told = f"/watch/{old}/ belongs to another video now, so “{restored}” is at {restored.get_absolute_url()}"
            self.message_user(request, told, messages.WARNING)


@admin.register(StorageEntry)
class StorageAdmin(admin.ModelAdmin):
    """Who takes how much of the disk, the largest first: a page to read."""

    list_display = ("video_title", "whole", "of_source", "of_renditions", "of_extras", "where")
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
        return super().get_queryset(request).annotate(taken=ledger.TOTAL)

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
        figures = {"disk": disk.look(), "promised": room.promised(), "totals": ledger.totals()}
        return super().changelist_view(request, {"title": "Storage", **figures})

    @admin.display(description="Video", ordering="video__title")
    def video_title(self, entry: StorageEntry) -> SafeString:
        name = "videos_archivedvideo_change" if entry.video.deleted_at else "videos_video_change"
        return format_html('<a href="{}">{}</a>', reverse(f"admin:{name}", args=[entry.pk]), entry.video)

    @admin.display(description="On the disk", ordering="taken")
    def whole(self, entry: StorageEntry) -> str:
        return readable(entry.total)

    @admin.display(description="The file", ordering="source")
    def of_source(self, entry: StorageEntry) -> str:
        return readable(entry.source)

    @admin.display(description="Renditions", ordering="renditions")
    def of_renditions(self, entry: StorageEntry) -> str:
        return readable(entry.renditions)

    @admin.display(description="Pictures, captions", ordering="extras")
    def of_extras(self, entry: StorageEntry) -> str:
        return readable(entry.extras)

    @admin.display(description="Where", ordering="video__deleted_at")
    def where(self, entry: StorageEntry) -> str:
        return "in the archive" if entry.video.deleted_at else ""


class NamedAdmin(admin.ModelAdmin):
    """Categories and tags: a name, an address, and how many videos."""

    list_display = ("name", "slug", "number_of_videos")
    search_fields = ("name", "slug")
    ordering = ("name", "pk")  # that of the model is lost where rows are counted
    prepopulated_fields = {"slug": ("name",)}
    actions = ("merge",)
    fate = ""  # of the videos, when the row is deleted

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).annotate(number=Count("videos", filter=ALIVE))

    @admin.display(description="Videos", ordering="number")
    def number_of_videos(self, row: Any) -> int:
        number: int = row.number
        return number

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What the confirmation says: the row and what becomes of its videos, not each link between the two."""
        allowed = self.has_delete_permission(request)
        named = [f"{row}: {self.fate.format(n=row.videos.filter(deleted_at=None).count())}" for row in objs]
        name = str(self.opts.verbose_name)
        counts = {str(self.opts.verbose_name_plural): len(named)}
        return named, counts, set() if allowed else {name}, []

    @admin.action(description="Merge the selected %(verbose_name_plural)s", permissions=["delete"])
    def merge(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """First asks which one stays; the answer comes as a second call."""
        rows = list(queryset.order_by("name", "pk"))
        if len(rows) < 2:
            self.message_user(request, "Select at least two: one of them stays.", messages.WARNING)
            return None
        kept = next((row for row in rows if str(row.pk) == request.POST.get("kept")), None)
        if kept is None:
            return self._ask_which_stays(request, rows)
        try:
            merging.merge(kept, [row for row in rows if row != kept])
        except merging.GoneError as error:
            self.message_user(request, str(error), messages.ERROR)
            return None
        names = ", ".join(str(row) for row in rows if row != kept)
        self.log_change(request, kept, f"Merged with {names}.")
        self.message_user(request, f"{names}: now part of {kept}.", messages.SUCCESS)
        return None

    def _ask_which_stays(self, request: HttpRequest, rows: list[Any]) -> HttpResponse:
        most = max(rows, key=lambda row: row.number)
        title = f"Merge {len(rows)} {self.opts.verbose_name_plural}"
        context = {**self.admin_site.each_context(request), "title": title, "opts": self.opts, "rows": rows}
        return TemplateResponse(request, "admin/videos/merge.html", {**context, "most": most})


@admin.register(Category)
class CategoryAdmin(NamedAdmin):
    fields = ("name", "slug", "description")
    fate = "its videos ({n}) stay, without a category"


@admin.register(Tag)
class TagAdmin(NamedAdmin):
    fields = ("name", "slug")
    fate = "its videos ({n}) stay, without this tag"

    def get_urls(self) -> list[Any]:
        names = self.admin_site.admin_view(self.names)
        return [path("names/", names, name="videos_tag_names"), *super().get_urls()]

    def names(self, request: HttpRequest) -> HttpResponse:
        """Names of tags for the words after `?term=`, as JSON: those that begin so, the most used first."""
        user = request.user
        if not any(user.has_perm(f"videos.{right}") for right in ("view_tag", "add_video", "change_video")):
            raise PermissionDenied
        term = clean(request.GET.get("term", ""))
        tags = Tag.objects.filter(name__istartswith=term).annotate(number=Count("videos"))
        found = tags.order_by("-number", "name").values_list("name", flat=True)[:SUGGESTIONS]
        return JsonResponse({"names": list(found)})
