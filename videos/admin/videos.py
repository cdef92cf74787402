"""Videos in the admin: upload, edit, publish, archive."""

from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.forms import ModelChoiceField, ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transcoding.engine.plan.inventory import MAX_CHAPTERS
from transcoding.steps import audio_tracks, chapters
from videos import archive, editing, publication, uploads
from videos.admin import captions, video_page
from videos.admin.addresses import old_addresses
from videos.admin.audio_tracks import AudioTrackInline
from videos.admin.import_folder import folder_page
from videos.admin.imports import import_page
from videos.admin.original import original
from videos.admin.posters import PosterAdmin
from videos.admin.publication import grant_to_editor, planned_changes
from videos.admin.versions import with_version
from videos.admin.video_list import VideoListAdmin
from videos.forms import ChapterForm, ChapterFormSet, UploadForm, VideoForm
from videos.models import MEANINGS, AudioTrack, Chapter, Video, categories_for, is_limited, of_editor
from videos.sidecars import Sidecar
from videos.uploads.form import takes_files
from vlog.sentences import plural


class ChapterInline(admin.TabularInline):
    """The chapters of a video, with the permissions of the video."""

    model = Chapter
    form, formset = ChapterForm, ChapterFormSet
    ordering = ("start",)
    extra = 1
    max_num = MAX_CHAPTERS
    verbose_name_plural = gettext_lazy("Chapters")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("videos.view_video") or self.has_change_permission(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("videos.change_video")

    has_add_permission = has_delete_permission = has_change_permission


VISIBILITY_FIELDS = (
    *("visibility", "new_password", "visible_from", "visible_until"),
    *("planned_changes", "cancel_planned"),
)
SHOWN_FIELDS = ("publish_early", "downloads", "published_at", "slug", "old_addresses")
READ_ONLY = ("planned_changes", "published_at", "old_addresses")


@admin.register(Video)
class VideoAdmin(VideoListAdmin, PosterAdmin):
    """The videos that are not in the archive: the form of one. `VideoListAdmin` has the list."""

    change_form_template = "admin/videos/video/change_form.html"
    add_form_template = "admin/videos/video/add_form.html"

    def get_inlines(self, request: HttpRequest, obj: Video | None) -> Any:
        if obj is None:
            return []
        return [AudioTrackInline, ChapterInline] if obj.audio_tracks.exists() else [ChapterInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Video]:
        return super().get_queryset(request).filter(of_editor(request.user), deleted_at=None, version_of=None)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:video_id>/captions/", wrap(partial(captions.desk, site=self)), name="videos_video_captions"),
            path(
                "<int:video_id>/captions/sound/<int:part>/",
                wrap(partial(captions.sound, site=self), cacheable=True),
                name="videos_video_sound",
            ),
            path("import/", wrap(partial(import_page, site=self)), name="videos_video_import"),
            path("import/folder/", wrap(partial(folder_page, site=self)), name="videos_video_import_folder"),
            path("<int:video_id>/original/", wrap(partial(original, self)), name="videos_video_original"),
            *super().get_urls(),
        ]

    def get_form(self, request: HttpRequest, obj: Video | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **{**kwargs, "form": VideoForm if obj else UploadForm})
        if is_limited(request.user) and "category" in form.base_fields:
            own = categories_for(request.user).order_by("name")
            form.base_fields["category"] = ModelChoiceField(own, empty_label=None)
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Video | None = None) -> Any:
        if obj is None:
            details = ("title", "description", "category", "tag_names")
            return [(None, {"fields": ("file", *details, "visibility", "publish_early", "downloads")})]
        fields = ("title", "description", "category", "tag_names", "poster", *VISIBILITY_FIELDS, *SHOWN_FIELDS)
        fieldsets = [(None, {"fields": fields})]
        return with_version(fieldsets) if self.has_change_permission(request, obj) else fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Video | None = None) -> tuple[str, ...]:
        return READ_ONLY if obj else ()

    @takes_files("videos.add_video")
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return super().add_view(request, form_url, {"has_folders": settings.IMPORTS.folders, **(extra_context or {})})

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        video = self.get_object(request, unquote(object_id))
        shown: dict[str, Any] = {}
        if video:
            grant_to_editor(request, video)
            may_change = self.has_change_permission(request, video)
            shown = video_page.context(request, video, may_change=may_change)
            shown |= {"old_addresses": old_addresses(self.page, video), "planned_changes": planned_changes(video)}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        form = context["adminform"].form
        if "new_password" in form.fields:  # not for those who may only look
            initial = form["visibility"].as_hidden(only_initial=True)
            meanings = [(value, *str(text).split(": ", 1)) for value, text in MEANINGS.items()]
            context |= {"initial_visibility": initial, "visibilities": meanings, "zone": get_current_timezone_name()}
        return super().render_change_form(request, context, *args, **kwargs)

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
            self.choose_poster(request, obj, *form.cleaned_data["poster"])
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
            Chapter.objects.keep(video.pk)
            editing.publish_chapters(video)


def archived_message(titles: list[str]) -> SafeString:
    """Return the message after one or more videos were archived."""
    moved = (
        _("“%(title)s” was moved to the archive.") % {"title": titles[0]}
        if len(titles) == 1
        else _("%(number)s videos were moved to the archive.") % {"number": len(titles)}
    )
    return format_html(
        '{} <a href="{}">{}</a> {}',
        moved,
        reverse("admin:videos_archivedvideo_changelist"),
        _("Archived videos"),
        plural(
            "can be restored for %(number)s day.",
            "can be restored for %(number)s days.",
            settings.ARCHIVE_RETENTION_DAYS,
        ),
    )
