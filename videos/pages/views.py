"""The public pages, and the delivery of a video's files."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.core.paginator import InvalidPage, Page, Paginator
from django.db.models import Count, F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotFound, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.functional import cached_property
from django.utils.http import http_date, urlencode
from django.views.decorators.cache import cache_control
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from transcoding.engine.package import files
from transcoding.engine.package.files import StoreError
from transcoding.queue import demand
from videos.models import ArchiveEntry, Category, Tag, Video, VideoQuerySet, VideoTag
from videos.pages import search
from videos.pages.cards import Card, cards
from videos.storage import delivery, paths
from vlog import ranges

PAGE_SIZE = 24
MORE_VIDEOS = 4
PAGES_AHEAD = 50
MAX_TAGS = 200  # on the browse page: the tags with the most videos

REDIRECTED = "private, max-age=300"  # less than the lifetime of a signed address

# A page depends on the account, and a video may be withdrawn at any moment.
no_cache = cache_control(no_cache=True)


@require_safe
@no_cache
def home(request: HttpRequest) -> HttpResponse:
    return list_page(request, "videos/home.html", Video.objects.public())


@require_safe
@no_cache
def category(request: HttpRequest, slug: str) -> HttpResponse:
    category = get_object_or_404(Category, slug=slug)
    return list_page(
        request, "videos/category.html", Video.objects.public().filter(category=category), category=category
    )


@require_safe
@no_cache
def tag(request: HttpRequest, slug: str) -> HttpResponse:
    tag = get_object_or_404(Tag, slug=slug)
    return list_page(request, "videos/tag.html", Video.objects.public().filter(tags=tag), tag=tag)


def list_page(request: HttpRequest, template: str, videos: VideoQuerySet, **context: Any) -> HttpResponse:
    """Render a page of the videos, the latest first; earlier pages are counted in an index and not read."""
    number = request.GET.get("page", "1")
    page = page_or_404(LongPaginator(videos.newest().values_list("pk"), number), number)
    shown = cards(Video.objects.filter(pk__in=page.object_list).newest())
    return render(request, template, {"page": page, "cards": shown, "page_numbers": numbers_of(page), **context})


class LongPaginator(Paginator):
    """A paginator that counts only some pages ahead: counting a large catalogue takes longer than showing a page."""

    def __init__(self, rows: QuerySet[Any], number: str) -> None:
        super().__init__(rows, PAGE_SIZE)
        self.limit = PAGE_SIZE * (PAGES_AHEAD + (int(number) if number.isdecimal() and len(number) < 6 else 1))

    @cached_property
    def count(self) -> int:
        return self.object_list[: self.limit].count()  # type: ignore[attr-defined]


def numbers_of(page: "Page[Any]") -> list[int | str]:
    """Return the numbers of the pages to link to, with an ellipsis for each gap."""
    return list(page.paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1))


def page_or_404(paginator: "Paginator[Any]", number: str) -> "Page[Any]":
    """Return a page of the paginator, or raise Http404 if there is none of this number."""
    try:
        return paginator.page(number)
    except InvalidPage as error:
        raise Http404(str(error)) from error


@require_safe
@no_cache
def browse(request: HttpRequest) -> HttpResponse:
    """Show all categories and the most used tags, each with its number of public videos."""
    videos = Video.objects.public().order_by()
    by_category = dict(videos.exclude(category=None).values_list("category").annotate(Count("pk")))
    used = VideoTag.objects.filter(video__in=videos).values_list("tag").annotate(number=Count("video"))
    by_tag = dict(used.order_by("-number", "tag")[:MAX_TAGS])
    categories = [(row, by_category[row.pk]) for row in Category.objects.filter(pk__in=by_category)]
    tags = [(row, by_tag[row.pk]) for row in Tag.objects.filter(pk__in=by_tag)]
    return render(request, "videos/browse.html", {"categories": categories, "tags": tags})


@require_safe
@no_cache
def search_page(request: HttpRequest) -> HttpResponse:
    text, number = request.GET.get("q", ""), request.GET.get("page", "1")
    offset = (page_or_404(Paginator(range(search.MAX_RESULTS), PAGE_SIZE), number).number - 1) * PAGE_SIZE
    try:
        found = search.find(text, limit=PAGE_SIZE, offset=offset)
    except search.NulError as error:
        return render(request, "videos/search.html", {"error": str(error)}, status=HTTPStatus.BAD_REQUEST)
    if offset and not found.hits:
        raise Http404("The search has fewer pages of results")
    text = " ".join(text[: search.MAX_CHARACTERS].split())
    page = page_or_404(Paginator(range(found.total), PAGE_SIZE), number)
    more = {"page": page, "page_numbers": numbers_of(page), "query": urlencode({"q": text}) + "&"}
    return render(request, "videos/search.html", {"text": text, "found": found, **more})


@require_safe
@no_cache
def watch(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a public video to everyone, and a preview of any other video to editors."""
    videos = Video.objects.alive().select_related("category").annotate(language=F("transcription__language"))
    video = videos.filter(slug=slug).first()
    if video is None:
        return gone_or_404(request, slug)
    if is_public(video):
        context = {"video": video, "more": related(video), "start": start_of(request, video)}
        cues = list(video.cues.values_list("start", "text"))
        return render(request, "videos/watch.html", {**context, "cues": cues})
    if may_preview(request.user):
        return render(request, "videos/preview.html", {"video": video, "playable": is_playable(video)})
    raise Http404("Not public")


def gone_or_404(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer 410 for the former address of an archived public video; others are 404, as if they never existed."""
    was_public = {"video__watchable": True, "video__published_at__lte": timezone.now()}
    if ArchiveEntry.objects.filter(slug=slug, **was_public).exists():
        return render(request, "410.html", status=HTTPStatus.GONE)
    raise Http404("No such video")


def related(video: Video) -> list[Card]:
    """Return the cards of the latest other videos, those of the same category first."""
    others = Video.objects.public().exclude(pk=video.pk).newest()
    near = cards(others.filter(category=video.category_id)[:MORE_VIDEOS]) if video.category_id else []
    if len(near) == MORE_VIDEOS:
        return near
    return [*near, *cards(others.exclude(pk__in=[card.pk for card in near])[: MORE_VIDEOS - len(near)])]


def start_of(request: HttpRequest, video: Video) -> int:
    """Return the second at which `?t=` asks the player to start; 0 if it is missing or invalid."""
    text = request.GET.get("t", "")
    second = int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0
    return second if second < video.duration else 0


def is_public(video: Video) -> bool:
    """Whether a video that is already loaded is public; the counterpart of `VideoQuerySet.public()`."""
    published = video.published_at is not None and video.published_at <= timezone.now()
    return published and video.watchable and video.deleted_at is None


def may_preview(user: User | AnonymousUser) -> bool:
    """Whether the user may see videos that are not public."""
    return user.is_staff and user.has_perm("videos.view_video")


def is_playable(video: Video) -> bool:
    """Whether the video can be played, finished or still being encoded."""
    working = video.status in (Video.Status.READY, Video.Status.PROCESSING)
    return working and paths.find_media(f"{paths.package_name(video)}/master.m3u8") is not None


@require_safe
def media(request: HttpRequest, address: str) -> HttpResponseBase:
    """Serve one file of a package, without a row or a session: the key in the address is the permission.

    Only for a segment that is not made yet, the rows are read and the request waits for it.
    """
    try:
        path = paths.find_media(address) or demand.wait_for(address)
        if path is None:
            return media_not_found()
        return playlist(request, path) if path.suffix == ".m3u8" else file(request, path)
    except FileNotFoundError:  # withdrawn after it was found
        return media_not_found()
    except (demand.NotYet, StoreError):
        return media_not_yet()


def media_not_found() -> HttpResponse:
    """Return a 404 in plain text, since a page would read the session; uncached, since the file may appear soon."""
    return HttpResponseNotFound("Not found\n", content_type="text/plain", headers={"Cache-Control": "no-store"})


def media_not_yet() -> HttpResponse:
    """Return a 503 for a file that is not made yet or whose store is unreachable."""
    headers = {"Cache-Control": "no-store", "Retry-After": "1", "Content-Type": "text/plain"}
    return HttpResponse("Not made yet\n", status=HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)


@gzip_page
def playlist(request: HttpRequest, path: Path) -> HttpResponse:
    """Serve a playlist. Playlists are replaced while a video is encoded, so clients revalidate them on each use."""
    # Before the content is read: an outdated tag is revalidated, but a tag newer than its content would stay.
    etag, modified = files.version(path), http_date(path.stat().st_mtime)
    headers = {**delivery.headers(path), "Last-Modified": modified, "ETag": etag}
    response = HttpResponse(path.read_bytes(), headers=headers)
    return get_conditional_response(request, etag=etag, response=response) or response


def file(request: HttpRequest, path: Path) -> HttpResponseBase:
    """Serve any other file; redirect to the store for immutable files if it serves viewers itself."""
    address = "" if path.suffix in delivery.REPLACED else files.address(path, str(request.method))
    if address and "?" not in address and "v" in request.GET:  # of the current poster
        address += "?" + urlencode({"v": request.GET["v"]})
    if address:
        return HttpResponseRedirect(address, headers={"Cache-Control": REDIRECTED})
    return ranges.whole_or_range(request, path, list(delivery.headers(path).items()))
