"""Addresses of other installations lead to those of the videos that were imported from them, for ever.

    /videos/<slug>/master.m3u8, /videos/<slug>/thumbnail.jpg     of the original VLog
    /view?m=<token>, /embed?m=<token>                            of MediaCMS

Browsers ask again each time, because the address of a file changes with who may watch the video.
"""

from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from videos.models import ImportMap, Video
from videos.pages import shown, views
from videos.storage import paths

LONGEST = 255  # characters of an address in the map


@require_safe
def package_file(request: HttpRequest, slug: str, name: str) -> HttpResponse:
    """Redirect to the master playlist or the poster of an open video."""
    video = _imported(slug) or Video.objects.listed().at(slug)
    if video is None or not video.is_open:
        return views.gone_or_404(request, slug)
    return _moved(paths.poster_url(video) if name == "thumbnail.jpg" else paths.package_url(video, name))


@require_safe
def page(request: HttpRequest, view: str) -> HttpResponse:
    """Redirect to the page, or the player, of an open video by its token there."""
    video = _imported(request.GET.get("m", ""))
    if video is None or not video.is_open:
        raise Http404("No such video")
    return _moved(reverse(view, args=[video.slug]))


def _imported(address: str) -> Video | None:
    """Return the video that had this address in another installation."""
    number = ImportMap.objects.video_at(address[:LONGEST]) if address else None
    return shown.pageable().filter(pk=number).first() if number else None


def _moved(address: str) -> HttpResponse:
    return HttpResponsePermanentRedirect(address, headers={"Cache-Control": "no-cache"})
