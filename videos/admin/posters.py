"""The poster of a video, on its page in the admin."""

from functools import partial
from pathlib import Path
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transcoding.engine.pictures import NotAPicture
from transcoding.steps import posters
from videos.admin import thumbnails
from videos.admin.file_versions import FileVersionAdmin
from videos.forms import PosterForm
from videos.models import Video
from videos.storage.paths import find_media, package_name, poster_url
from videos.uploads.form import takes_files
from vlog import audit

GONE = gettext_lazy("This image is no longer available. Choose another one.")
NO_FRAME = gettext_lazy(
    "No frame could be taken there, so the poster is as before. Choose another moment of the video."
)


class PosterAdmin(FileVersionAdmin):
    """What the admin of videos does about their posters."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        views = [
            path("<int:video_id>/poster/", wrap(self.poster_view), name="videos_video_poster"),
            *thumbnails.addresses(self),
        ]
        return [*views, *super().get_urls()]

    @takes_files("videos.change_video")
    def poster_view(self, request: HttpRequest, video_id: int) -> HttpResponse:
        """Set the poster: one of the candidates, or an uploaded image."""
        video = self._changeable(request, video_id)
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
                is_changed = posters.choose(video.pk, number)
            else:
                is_changed = posters.send(video.pk, Path(image.temporary_file_path()))
        except NotAPicture as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        self._note_poster(request, video, "" if is_changed else str(GONE))

    def _note_poster(self, request: HttpRequest, video: Video, error: str) -> None:
        if error:
            self.message_user(request, error, messages.ERROR)
            return
        audit.record("changed the poster of", subject=video)
        self.log_change(request, video, "Changed the poster.")
        self.message_user(request, _("The poster was changed."), messages.SUCCESS)

    def choose_poster(self, request: HttpRequest, video: Video, at: float | None, number: int | None) -> None:
        """Set the poster after the other changes of the form are saved: it takes a second or two."""
        transaction.on_commit(partial(self._choose_poster, request, video, at, number))

    def _choose_poster(self, request: HttpRequest, video: Video, at: float | None, number: int | None) -> None:
        if at is not None:
            self._note_poster(request, video, "" if posters.take(video.pk, at) else str(NO_FRAME))
        elif number is not None:
            self._note_poster(request, video, "" if posters.choose(video.pk, number) else str(GONE))


def gallery_of(video: Video) -> dict[str, Any]:
    """Return the current poster of a video, the candidates that can replace it, and the form for an upload."""
    has_poster = find_media(f"{package_name(video)}/poster.jpg") is not None
    candidates = [
        {"number": number, "is_current": current, "url": thumbnails.address(video, number)}
        for number, current in posters.offered(video)
    ]
    return {"poster": poster_url(video) if has_poster else "", "candidates": candidates, "form": PosterForm()}
