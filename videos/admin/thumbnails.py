"""Thumbnails: the posters in the size in which the desk's lists show them.

Each is made anew for each browser, in a hundredth of a second, and kept there: no file has to follow the poster.
"""

from typing import Any

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_safe

from transcoding.engine.pictures import CANDIDATES
from transcoding.engine.thumbnails import thumbnail
from transcoding.steps import posters
from videos.models import Video
from videos.storage.paths import package_dir

KEPT = "private, max-age=31536000, immutable"


def address(video: Video, number: int | None = None) -> str:
    """Return the address of a video's thumbnail; number: that of a candidate. It changes with the poster."""
    arguments = [video.pk] if number is None else [video.pk, number]
    version = f"{video.package_number or video.pk}-{video.media_key[:8]}-{video.poster_version}"
    return f"{reverse('admin:videos_video_thumbnail', args=arguments)}?v={version}"


def addresses(model_admin: "ModelAdmin[Video]") -> list[URLPattern]:
    """Return the addresses below that of the list of videos."""

    @require_safe
    def view(request: HttpRequest, video_id: int, number: int | None = None) -> HttpResponse:
        if not model_admin.has_view_or_change_permission(request):
            raise PermissionDenied
        return _thumbnail(request, video_id, number)

    wrapped: Any = model_admin.admin_site.admin_view(view, cacheable=True)
    below = "<int:video_id>/thumbnail/"
    return [path(address, wrapped, name="videos_video_thumbnail") for address in (below, f"{below}<int:number>/")]


def _thumbnail(request: HttpRequest, video_id: int, number: int | None) -> HttpResponse:
    """Raises Http404 where there is no such poster: none was made yet, or it is no candidate any more."""
    video = Video.objects.for_editor(request.user).filter(pk=video_id).first()
    if video is None:
        raise Http404("There is no video with this number.")
    name = "poster.jpg" if number is None else posters.candidate_name(number)
    try:
        if number is not None and number >= CANDIDATES:
            raise FileNotFoundError(name)
        jpeg = thumbnail((package_dir(video) / name).read_bytes())
    except (OSError, ValueError) as error:
        raise Http404("There is no such picture.") from error
    return HttpResponse(jpeg, content_type="image/jpeg", headers={"Cache-Control": KEPT})
