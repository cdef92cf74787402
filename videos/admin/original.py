"""The original of a video, for editors."""

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseNotAllowed, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from transcoding.engine.package import files
from videos.models import Video
from videos.storage import delivery, paths
from vlog import ranges

NOT_HERE = _(
    "The original is not there. It is still arriving on another machine, or its file was removed: ask an administrator."
)


def original(model_admin: "ModelAdmin[Video]", request: HttpRequest, video_id: int) -> HttpResponseBase:
    """Send the original, whole or a range of its bytes, under the name that it was uploaded with.

    An object store sends it itself. It is never shown in the page, because it may be a file of any kind.
    """
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    video = get_object_or_404(model_admin.get_queryset(request), pk=video_id)
    places = (files.fail_fast(paths.source_path(video)), paths.arrival_path(video))
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        model_admin.message_user(request, NOT_HERE, messages.ERROR)
        return HttpResponseRedirect(reverse("admin:videos_video_change", args=[video.pk]))
    name = delivery.attachment(delivery.file_name(video.source_name or path.name, ""))
    if address := files.address(path, str(request.method), granted=True, disposition=name):
        return HttpResponseRedirect(address, headers={"Cache-Control": "no-store"})
    headers = {"Content-Type": delivery.OTHER, "Content-Disposition": name, "Cache-Control": delivery.CHECKED}
    return ranges.whole_or_range(request, path, [*headers.items(), ("ETag", files.version(path))])
