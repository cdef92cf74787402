"""What viewers get: pages, and the files of a video."""

from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

from django.contrib.auth.models import AnonymousUser, User
from django.core.paginator import InvalidPage, Page, Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotFound
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import http_date
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe
from whitenoise.middleware import WhiteNoiseFileResponse
from whitenoise.responders import MissingFileError, Response, SlicedFile, StaticFile

from videos import storage
from videos.models import Category, Tag, Video, VideoQuerySet

PAGE_SIZE = 24
MORE_VIDEOS = 4

FOREVER = "public, max-age=31536000, immutable"  # what lies at such an address never changes
REVALIDATE = "no-cache"
MEDIA_TYPES = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
    ".jpg": "image/jpeg",
    ".vtt": "text/vtt; charset=utf-8",
}


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return list_page(request, "videos/home.html", Video.objects.public())


@require_safe
def category(request: HttpRequest, slug: str) -> HttpResponse:
    category = get_object_or_404(Category, slug=slug)
    return list_page(
        request, "videos/category.html", Video.objects.public().filter(category=category), category=category
    )


@require_safe
def tag(request: HttpRequest, slug: str) -> HttpResponse:
    tag = get_object_or_404(Tag, slug=slug)
    return list_page(request, "videos/tag.html", Video.objects.public().filter(tags=tag), tag=tag)


def list_page(request: HttpRequest, template: str, videos: VideoQuerySet, **context: Any) -> HttpResponse:
    paginator = Paginator(videos.newest().select_related("category"), PAGE_SIZE)
    page = page_or_404(paginator, request.GET.get("page", "1"))
    numbers = paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1)
    return render(request, template, {"page": page, "page_numbers": numbers, **context})


def page_or_404(paginator: "Paginator[Video]", number: str) -> "Page[Video]":
    try:
        return paginator.page(number)
    except InvalidPage as error:
        raise Http404(str(error)) from error


@require_safe
def watch(request: HttpRequest, slug: str) -> HttpResponse:
    videos = Video.objects.alive().select_related("category", "job").prefetch_related("tags")
    video = get_object_or_404(videos, slug=slug)
    if is_public(video):
        more = Video.objects.public().exclude(pk=video.pk).newest().select_related("category")[:MORE_VIDEOS]
        return render(request, "videos/watch.html", {"video": video, "more": more})
    if may_preview(request.user):
        return render(request, "videos/preview.html", {"video": video, "playable": is_playable(video)})
    raise Http404("Not public")


def is_public(video: Video) -> bool:
    """`VideoQuerySet.public()`, asked of a row at hand."""
    published = video.published_at is not None and video.published_at <= timezone.now()
    return published and video.status == Video.Status.READY and video.deleted_at is None


def may_preview(user: User | AnonymousUser) -> bool:
    return user.is_staff and user.has_perm("videos.view_video")


def is_playable(video: Video) -> bool:
    """Whether there is something to watch, be it ready or still growing."""
    working = video.status in (Video.Status.READY, Video.Status.PROCESSING)
    return working and storage.find_media(f"{storage.package_name(video)}/master.m3u8") is not None


@require_safe
def media(request: HttpRequest, address: str) -> HttpResponseBase:
    """One file of a package. Asks no row and touches no session: the key in the address is the permission."""
    path = storage.find_media(address)
    if path is None:
        return media_not_found()
    try:
        return playlist(request, path) if path.suffix == ".m3u8" else whole_or_range(request, path)
    except (FileNotFoundError, MissingFileError):  # withdrawn since it was found
        return media_not_found()


def media_not_found() -> HttpResponse:
    """Plain, for a page would ask who is logged in; not to be kept, for the file may be about to appear."""
    return HttpResponseNotFound("Not found\n", content_type="text/plain", headers={"Cache-Control": "no-store"})


@gzip_page
def playlist(request: HttpRequest, path: Path) -> HttpResponse:
    """Playlists are replaced while a video is made, so each use asks whether they still hold."""
    stat = path.stat()  # before the content: a tag that is too old is asked about again, one too new never
    etag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
    headers = {"Cache-Control": REVALIDATE, "Last-Modified": http_date(stat.st_mtime), "ETag": etag}
    response = HttpResponse(path.read_bytes(), content_type=MEDIA_TYPES[".m3u8"], headers=headers)
    return get_conditional_response(request, etag=etag, response=response) or response


def whole_or_range(request: HttpRequest, path: Path) -> HttpResponseBase:
    caching = REVALIDATE if path.suffix == ".vtt" else FOREVER
    file = MediaFile(str(path), [("Content-Type", MEDIA_TYPES[path.suffix]), ("Cache-Control", caching)])
    found = file.get_response(request.method, request.META)
    response = WhiteNoiseFileResponse(found.file or (), status=found.status)
    del response["Content-Type"]  # Django's default, which a 304 would carry into caches
    for name, value in found.headers:
        response[name] = value
    return response


class MediaFile(StaticFile):
    """whitenoise's, except that one byte is a range too: `bytes=0-0` asks whether ranges work."""

    def get_range_response(
        self, range_header: str, base_headers: list[tuple[str, str]], file_handle: BinaryIO | None
    ) -> Response:
        size = int(dict(base_headers)["Content-Length"])
        start, end = self.get_byte_range(range_header, size)
        if start != end:
            return super().get_range_response(range_header, base_headers, file_handle)
        headers = [(name, value) for name, value in base_headers if name != "Content-Length"]
        headers += [("Content-Range", f"bytes {start}-{end}/{size}"), ("Content-Length", "1")]
        return Response(HTTPStatus.PARTIAL_CONTENT, headers, file_handle and SlicedFile(file_handle, start, end))
