"""Videos in the admin: upload, edit, publish, archive."""

from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import ForeignKey, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from transcoding.engine.pictures import NotAPicture
from transcoding.engine.plan.inventory import MAX_CHAPTERS
from transcoding.engine.renditions import display_order
from transcoding.steps import audio_tracks, chapters, posters
from videos import archive, editing, publication, uploads
from videos.admin.audio_tracks import AudioTrackInline
from videos.admin.original import original
from videos.admin.publication import LinkForm, grant_to_editor
from videos.admin.versions import with_version
from videos.admin.video_list import VideoListAdmin
from videos.admin.widgets import CheckedAutocompleteSelect
from videos.formatting import clock
from videos.forms import ChapterForm, ChapterFormSet, PosterForm, UploadForm, VideoForm
from videos.models import AudioTrack, Chapter, StorageEntry, Video, categories_for, is_limited, of_editor
from videos.sidecars import Sidecar
from videos.storage.paths import find_media, package_name, package_url, poster_url
from videos.uploads.form import takes_files
from vlog import audit
from vlog.disk import readable


class ChapterInline(admin.TabularInline):
    """The chapters of a video, with the permissions of the video."""

    model = Chapter
    form, formset = ChapterForm, ChapterFormSet
    ordering = ("start",)
    extra = 1
    max_num = MAX_CHAPTERS
    verbose_name_plural = "Chapters"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("videos.view_video") or self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("videos.change_video")

    has_add_permission = has_delete_permission = has_change_permission


VISIBILITY_FIELDS = (
    *("visibility", "new_password", "visible_from", "visible_until"),
    *("planned_changes", "cancel_planned"),
)
READ_ONLY = (
    *("progress", "source_name", "source_size", "length", "storage", "created_at", "streams"),
    *("planned_changes", "published_at", "old_addresses"),
)


@admin.register(Video)
class VideoAdmin(VideoListAdmin):
    """The videos that are not in the archive: the form of one. `VideoListAdmin` has the list."""

    autocomplete_fields = ("category",)

    class Media:
        js = ("live.js",)

    def get_inlines(self, request: HttpRequest, obj: Video | None) -> Any:
        if obj is None:
            return []
        return [AudioTrackInline, ChapterInline] if obj.audio_tracks.exists() else [ChapterInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Video]:
        return super().get_queryset(request).filter(of_editor(request.user), deleted_at=None, version_of=None)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:video_id>/poster/", wrap(self.poster_view), name="videos_video_poster"),
            path("<int:video_id>/original/", wrap(partial(original, self)), name="videos_video_original"),
            *super().get_urls(),
        ]

    def formfield_for_foreignkey(self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any) -> Any:
        widget = CheckedAutocompleteSelect(db_field, self.admin_site)
        if is_limited(request.user):
            kwargs |= {"queryset": categories_for(request.user), "required": True}
        return super().formfield_for_foreignkey(db_field, request, **{"widget": widget, **kwargs})

    def get_form(self, request: HttpRequest, obj: Video | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **{**kwargs, "form": VideoForm if obj else UploadForm})

    def get_fieldsets(self, request: HttpRequest, obj: Video | None = None) -> Any:
        if obj is None:
            details = ("title", "description", "category", "tag_names")
            return [(None, {"fields": ("file", *details, "visibility", "publish_early", "downloads")})]
        fieldsets = [
            (None, {"fields": ("progress",)}),
            ("Description", {"fields": ("title", "description", "category", "tag_names")}),
            (
                "Publication",
                {"fields": (*VISIBILITY_FIELDS, "publish_early", "downloads", "published_at", "slug", "old_addresses")},
            ),
            ("File", {"fields": ("source_name", "source_size", "length", "storage", "created_at", "streams")}),
        ]
        return with_version(fieldsets) if self.has_change_permission(request, obj) else fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Video | None = None) -> tuple[str, ...]:
        return READ_ONLY if obj else ()

    @takes_files("videos.add_video")
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().add_view(request, form_url, extra_context)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        video = self.get_object(request, unquote(object_id))
        shown: dict[str, Any] = {}
        if video and self.has_change_permission(request, video):
            grant_to_editor(request, video)
            shown = {"gallery": gallery_of(video), "links": video.share_links.all(), "link_form": LinkForm()}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    @takes_files("videos.change_video")
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
        audit.record("changed the poster of", subject=video)
        self.log_change(request, video, "Changed the poster.")
        self.message_user(request, "The poster was changed.", messages.SUCCESS)

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
            editing.save(obj, [name for name in form.changed_data if name in VideoForm.Meta.fields])
            self._save_visibility(request, obj, form)
            return
        data = form.cleaned_data
        files = data["file"]
        video = uploads.accept(
            Path(files.video.temporary_file_path()),
            name=files.video.name,
            beside=[Sidecar(Path(file.temporary_file_path()), str(file.name)) for file in files.beside],
            tell=partial(self.message_user, request, level=messages.WARNING),
            title=data["title"],
            description=data["description"],
            category=data["category"],
            tags=data["tag_names"],
            publish_early=data["publish_early"],
            downloads=data["downloads"],
            visibility=data["visibility"],
        )
        self.remember_visibility(request, video.visibility)
        obj.__dict__.update(video.__dict__)  # the admin continues with the row that the upload created

    def _save_visibility(self, request: HttpRequest, video: Video, form: Any) -> None:
        if form.cleaned_data["cancel_planned"]:
            publication.cancel_planned(video)
        if form.sets_visibility:
            self.message_user(request, publication.set_visibility(video, **form.schedule()), messages.SUCCESS)

    def save_related(self, request: HttpRequest, form: ModelForm, formsets: Any, change: bool) -> None:
        if change:  # a new video has its tags already
            super().save_related(request, form, formsets, change)
            form.instance.tags.set(uploads.tags_named(form.cleaned_data["tag_names"]))
            changed = {formset.model for formset in formsets if formset.has_changed()}
            if AudioTrack in changed:
                audio_tracks.rewrite_master(form.instance.job)
            self._save_chapters(request, form, is_edited=Chapter in changed)

    def _save_chapters(self, request: HttpRequest, form: ModelForm, *, is_edited: bool) -> None:
        """Publish chapters that were edited one by one, or else those that a changed description lists."""
        video, is_described = form.instance, "description" in form.changed_data
        if not is_edited and is_described:
            is_edited = chapters.follow_description(video, form.initial["description"])
            if sentence := chapters.why_none(video.description):
                self.message_user(request, sentence, messages.WARNING)
        if is_edited:
            editing.publish_chapters(video)

    @admin.display(description="State")
    def progress(self, video: Video) -> SafeString:
        job = getattr(video, "job", None)
        rungs = sorted(job.qualities.all(), key=lambda rung: display_order(rung.quality)) if job else []
        return SafeString(render_to_string("admin/videos/progress.html", {"video": video, "job": job, "rungs": rungs}))

    @admin.display(description="Duration", ordering="duration")
    def length(self, video: Video) -> str:
        return clock(video.duration) if video.duration else ""

    @admin.display(description="Resolution")
    def source_size(self, video: Video) -> str:
        return f"{video.source_width} x {video.source_height}" if video.source_width else ""

    @admin.display(description="Disk usage")
    def storage(self, video: Video) -> str:
        entry = getattr(video, "storage_entry", None)
        return describe_storage(entry) if entry else "Not measured yet"

    @admin.display(description="Streams")
    def streams(self, video: Video) -> SafeString | str:
        rows = list(video.source_streams.all())
        return SafeString(render_to_string("admin/videos/streams.html", {"streams": rows})) if rows else "Not listed"


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
