"""The player alone, for pages of other sites, and how these find it: the code to embed, and oEmbed.

These pages read no session and set no cookie. docs/embedding.md describes their addresses, and the player's messages.
"""

import re
from collections.abc import Callable
from functools import cache, partial, wraps
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from csp.constants import SELF
from csp.decorators import csp_replace
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import Resolver404, resolve, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import cache_control
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from videos.formatting import absolute, seconds_of
from videos.models import Chapter, Video, address_of
from videos.pages import passwords, shown
from videos.pages.redirects import moved
from videos.storage.paths import poster_url
from vlog import site
from vlog.serving.everybody import marked

WIDTH, HEIGHT = 640, 360  # of the player in pixels, unless the site that embeds it wants less
PERMISSIONS = "autoplay; fullscreen; picture-in-picture"
PARAMETERS = ("start", "end", "autoplay", "muted")
PAGES = ("watch", "embed")  # the names of the addresses that oEmbed knows
MAX_PIXELS = 10_000
POSTER = 1280  # pixels of its longer side at most
PIXELS = re.compile(r"[1-9]\d{0,5}", re.ASCII)

MISSING = {
    HTTPStatus.FORBIDDEN: _("This video cannot be shown on this page."),
    HTTPStatus.NOT_FOUND: _("This video does not exist."),
    HTTPStatus.GONE: _("This video is no longer available."),
}


def framed(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Let the sites of VLOG_EMBED_SITES show a page in a frame; its refusal can be shown everywhere."""

    @xframe_options_exempt
    @wraps(view)
    def answer(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        if is_allowed(request):
            return csp_replace({"frame-ancestors": [SELF, *settings.EMBED_SITES]})(partial(view, **kwargs))(request)
        return csp_replace({"frame-ancestors": ["*"]})(partial(_refusal, kwargs["slug"]))(request)

    return answer  # type: ignore[return-value]


def _refusal(slug: str, request: HttpRequest) -> HttpResponse:
    return wall(request, HTTPStatus.FORBIDDEN, slug)


def is_allowed(request: HttpRequest) -> bool:
    """Whether the page with the frame may show the player, as far as the browser names that page.

    Where it does not, the browser itself compares the page with the policy of the answer.
    """
    page = urlsplit(request.headers.get("Referer", ""))
    if request.headers.get("Sec-Fetch-Dest") != "iframe" or not page.netloc or page.netloc == request.get_host():
        return True
    return any(_covers(source, f"{page.scheme}://{page.netloc}") for source in settings.EMBED_SITES)


def _covers(source: str, origin: str) -> bool:
    """Whether a source of CSP includes an origin: *, https://example.org, or https://*.example.org."""
    scheme, star, rest = source.partition("*")
    return source in ("*", origin) or bool(star and origin.startswith(scheme) and origin.endswith(rest))


@csrf_exempt  # a password opens the video to the person who sends it, and changes nothing
@require_http_methods(["GET", "HEAD", "POST"])
@cache_control(no_cache=True)
@framed
def embed(request: HttpRequest, slug: str, grant: str = "") -> HttpResponse:
    """Show the player of a video that viewers may see, or why there is none.

    Where only some sites may show it, the answer depends on the page with the frame, and is not kept for others.
    """
    video = shown.at(slug)
    if video is None:
        return wall(request, HTTPStatus.GONE if shown.is_gone(slug) else HTTPStatus.NOT_FOUND)
    if not shown.admit(video, grant):
        if passwords.is_needed(video):
            return passwords.ask(request, video, template="videos/embed_password.html", then="embed-granted")
        return wall(request, HTTPStatus.NOT_FOUND)
    if request.method == "POST":
        return HttpResponseNotAllowed(["GET", "HEAD"])
    if video.slug != slug:
        return moved(request, video.slug)
    page = render(request, "videos/embed.html", _context(request, video))
    return marked(page, *PARAMETERS) if video.is_open and "*" in settings.EMBED_SITES else page


def _context(request: HttpRequest, video: Video) -> dict[str, Any]:
    start, end = (seconds_of(request.GET.get(name, "")) for name in ("start", "end"))
    start = start if start < video.duration else 0
    return {
        **shown.NO_EXTRAS,
        "video": video,
        "embedded": True,
        "chapters": Chapter.objects.filter(video=video).marks(),
        "start": start,
        "end": end if end > start else 0,
        "autoplay": request.GET.get("autoplay") == "1",
        "muted": request.GET.get("muted") == "1",
        "page": page_of(video),
    }


def page_of(video: Video) -> str:
    """Return the full address of the video's page, with its grant if it needs one."""
    granted = reverse("watch-granted", args=[video.slug, video.grant]) if video.grant else ""
    return absolute(granted or video.get_absolute_url())


def wall(request: HttpRequest, status: HTTPStatus, slug: str = "") -> HttpResponse:
    """Return a page of the player's size that says why there is no video. slug: of the page that can be opened."""
    page = absolute(reverse("watch", args=[slug])) if slug else ""
    return render(request, "videos/embed_wall.html", {"sentence": MISSING[status], "page": page}, status=status)


def code(video: Video, width: int = WIDTH, height: int = HEIGHT) -> str:
    """Return the HTML that shows the player in a page of another site; empty if no site may."""
    if not settings.EMBED_SITES:
        return ""
    return format_html(
        '<iframe src="{}" width="{}" height="{}" title="{}" loading="lazy" allow="{}" allowfullscreen></iframe>',
        *(player(video), width, height, video.title, PERMISSIONS),
    )


def player(video: Video) -> str:
    """Return the full address of the player alone."""
    return absolute(address_of("embed", video.slug))


@require_safe
@cache_control(no_cache=True)
def oembed(request: HttpRequest) -> HttpResponse:
    """Answer a site that has the address of a page and wants to show the video, as https://oembed.com describes it."""
    if request.GET.get("format", "json") != "json":
        return _answer({"error": "The answer is JSON only."}, HTTPStatus.BAD_REQUEST)
    width, height = (request.GET.get(name, str(MAX_PIXELS)) for name in ("maxwidth", "maxheight"))
    if not (PIXELS.fullmatch(width) and PIXELS.fullmatch(height)):
        return _answer({"error": "maxwidth and maxheight are numbers of pixels."}, HTTPStatus.BAD_REQUEST)
    video = _video_at(request.GET.get("url", ""))
    if video is None or not settings.EMBED_SITES:
        return _answer({"error": "There is no video to embed at this address."}, HTTPStatus.NOT_FOUND)
    described = _described(video, *_fitted(int(width), int(height)))
    return _answer({**described, **_thumbnail(video, int(width), int(height))})


def _answer(data: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> JsonResponse:
    return JsonResponse(data, status=status, headers={"Access-Control-Allow-Origin": "*"})


def _video_at(address: str) -> Video | None:
    """Return the video whose page has this address, if everybody who has the address may watch it."""
    path = address.removeprefix(settings.BASE_URL)
    if path == address or not path.startswith("/"):
        return None
    try:
        match = resolve(path.partition("?")[0].partition("#")[0])
    except Resolver404:
        return None
    video = shown.pageable().at(match.kwargs["slug"]) if match.view_name in PAGES else None
    return video if video is not None and video.is_open else None


def _fitted(max_width: int, max_height: int) -> tuple[int, int]:
    """Return the width and height of the player within these limits, in pixels."""
    width = max(min(WIDTH, max_width, max_height * WIDTH // HEIGHT), 1)
    return width, max(width * HEIGHT // WIDTH, 1)


def _described(video: Video, width: int, height: int) -> dict[str, Any]:
    return {
        "version": "1.0",
        "type": "video",
        "title": video.title,
        "provider_name": site.current().name,
        "provider_url": settings.BASE_URL,
        "html": code(video, width, height),
        "width": width,
        "height": height,
    }


def _thumbnail(video: Video, max_width: int, max_height: int) -> dict[str, Any]:
    """Return the poster, unless it is larger than the site wants: oEmbed has limits for both."""
    larger = max(video.source_width, video.source_height)
    if not larger:
        return {}
    scale = min(1, POSTER / larger)
    width, height = round(video.source_width * scale), round(video.source_height * scale)
    if width > max_width or height > max_height:
        return {}
    return {"thumbnail_url": absolute(poster_url(video)), "thumbnail_width": width, "thumbnail_height": height}


def discovery(video: Video) -> str:
    """Return the address at which oEmbed describes a video."""
    return absolute(f"{_oembed()}?{urlencode({'url': page_of(video)})}")


@cache
def _oembed() -> str:
    return reverse("oembed")
