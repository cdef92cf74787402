"""The versions of a video's file, on its page in the admin: another file, and the way back."""

from pathlib import Path
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transcoding.steps import file_versions
from transcoding.steps.file_versions import VersionError
from videos import uploads
from videos.admin.publication import PublicationAdmin
from videos.models import FileVersion, Video
from videos.uploads import UploadError
from videos.uploads.form import takes_files
from vlog.row_ids import row_id

SHOWN = 20  # versions on the page of a video
REPLACED = gettext_lazy("The file is being processed. Viewers watch the present one until the new one is ready.")
TAKEN = gettext_lazy("The file is being processed.")
FAILED = gettext_lazy("Version {} of the file could not be made, and viewers watch the present one. {}")
NO_FILE = gettext_lazy("Choose a file first.")


class FileForm(forms.Form):
    """The file that takes the place of the present one."""

    file = forms.FileField(
        label=gettext_lazy("New file"), widget=forms.FileInput(attrs={"accept": "video/*,audio/*,.mkv"})
    )


class FileVersionAdmin(PublicationAdmin):
    """What the admin of videos does about their files."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:video_id>/file/", wrap(self.file_view), name="videos_video_file"),
            path("<int:video_id>/file/<int:number>/", wrap(self.version_view), name="videos_video_version"),
            *super().get_urls(),
        ]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        shown: dict[str, Any] = {}
        if (pk := row_id(object_id)) is not None and self.has_change_permission(request):
            rows = FileVersion.objects.filter(video=pk).select_related("holder__job")
            shown = {"file_versions": rows[:SHOWN], "file_form": FileForm()}
            if request.method == "GET":
                self._tell_failure(request, rows)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def _tell_failure(self, request: HttpRequest, rows: QuerySet[FileVersion]) -> None:
        for version in rows.filter(state=FileVersion.State.MAKING, holder__status=Video.Status.FAILED):
            reason = version.holder and version.holder.error_message
            self.message_user(request, FAILED.format(version.number, reason), messages.WARNING)

    @takes_files("videos.change_video")
    def file_view(self, request: HttpRequest, video_id: int) -> HttpResponse:
        """Replace the file of a video with an uploaded one."""
        video = self._changeable(request, video_id)
        form = FileForm(request.POST, request.FILES)
        if request.method != "POST":
            return self._to_versions(video_id)
        if not form.is_valid():
            return self._to_versions(video_id, str(NO_FILE), request)
        file, was_ready = form.cleaned_data["file"], video.status == Video.Status.READY
        try:
            uploads.replace(video.pk, Path(file.temporary_file_path()), name=file.name)
        except (UploadError, VersionError) as error:
            return self._to_versions(video_id, str(error), request)
        self.log_change(request, video, f"Replaced the file with {uploads.clean(file.name)}.")
        self.message_user(request, REPLACED if was_ready else TAKEN, messages.SUCCESS)
        return self._to_versions(video_id)

    def version_view(self, request: HttpRequest, video_id: int, number: int) -> HttpResponse:
        """Go back to a replaced version."""
        video = self._changeable(request, video_id)
        version = get_object_or_404(FileVersion, video=video, number=number)
        if request.method == "POST":
            try:
                file_versions.restore(version)
            except VersionError as error:
                return self._to_versions(video_id, str(error), request)
            self.log_change(request, video, f"Went back to version {number} of the file.")
            self.message_user(
                request, _("Viewers watch version %(number)s now.") % {"number": number}, messages.SUCCESS
            )
        return self._to_versions(video_id)

    def _to_versions(self, video_id: int, error: str = "", request: HttpRequest | None = None) -> HttpResponse:
        if error and request is not None:
            self.message_user(request, error, messages.ERROR)
        return HttpResponseRedirect(reverse("admin:videos_video_change", args=[video_id]) + "#file")
