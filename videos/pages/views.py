"""The public pages, and the delivery of a video's files."""

from http import HTTPStatus
from pathlib import Path
from typing import Any

from django.core.paginator import InvalidPage, Page, Paginator
from django.db.models import Count, QuerySet
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseNotFound,
    HttpResponseRedirect,
)
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import get_conditional_response
from django.utils.functional import cached_property
from django.utils.http import http_date, urlencode
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_http_methods, require_safe

from transcoding.engine.package import files
from transcoding.engine.package.files import StoreError
from transcoding.queue import demand
from videos import grants
from videos.formatting import seconds_of
from videos.models import (
    Category,
    Chapter,
    Picture,
    ShareLink,
    Tag,
    Video,
    VideoQuerySet,
    VideoTag,
    Visibility,
)
from videos.pages import downloads, embed, paging, passwords, queue, shown, texts
from videos.pages.cards import cards
from videos.pages.redirects import moved, row_or_404
from videos.storage import delivery, paths
from vlog import ranges, ratelimit
from vlog.serving.everybody import marked, same_for_everybody

PAGE_SIZE = 24
PAGES_AHEAD = 50
MAX_TAGS = 200  # on the browse page: the tags with the most videos

REDIRECTED = "private, max-age=300"  # less than the lifetime of a signed address
NOT_STORED = "no-store"
PARAMETERS = ("t", "list", "captions")  # of the page of a video

# A page depends on the account, and a video may be withdrawn at any moment.
no_cache = cache_control(no_cache=True)


@require_safe
@no_cache
@same_for_everybody("page")
def category(request: HttpRequest, slug: str) -> HttpResponse:
    category = row_or_404(Category.objects.all(), slug)
    if category.slug != slug:
        return moved(request, category.slug)
    picture = Picture.objects.addresses([category]).get(category.pk, "")
    videos = Video.objects.public().filter(category=category)
    return list_page(request, "videos/category.html", videos, category=category, picture=picture)


@require_safe
@no_cache
@same_for_everybody("page")
def tag(request: HttpRequest, slug: str) -> HttpResponse:
    tag = row_or_404(Tag.objects.all(), slug)
    if tag.slug != slug:
        return moved(request, tag.slug)
    return list_page(request, "videos/tag.html", Video.objects.public().filter(tags=tag), tag=tag)


def list_page(request: HttpRequest, template: str, videos: VideoQuerySet, **context: Any) -> HttpResponse:
    """Render a page of the videos, the latest first; earlier pages are counted in an index and not read."""
    if paging.ROWS & request.GET.keys():
        return render(request, template, {**paging.far_page(videos, request.GET, PAGE_SIZE), **context})
    number = request.GET.get("page", "1")
    page = page_or_404(LongPaginator(videos.newest().values_list("pk"), number), number)
    # Not as a subquery: where PostgreSQL has no statistics yet, it would ask that again for each video.
    visible = cards(Video.objects.filter(pk__in=[pk for (pk,) in page.object_list]).newest())
    shown = {"page": page, "cards": visible, "page_numbers": numbers_of(page)}
    return render(request, template, {**shown, "steps": paging.steps(page.number, visible), **context})


class LongPaginator(Paginator):
    """A paginator that counts only some pages ahead: counting a large catalogue takes longer than showing a page."""

    def __init__(self, rows: QuerySet[Any], number: str, counted: int | None = None) -> None:
        super().__init__(rows, PAGE_SIZE)
        self.number, self.counted = number, counted

    @staticmethod
    def limit_of(number: str) -> int:
        """Return up to how many rows are counted for the page of this number."""
        return PAGE_SIZE * (PAGES_AHEAD + (int(number) if number.isdecimal() and len(number) < 6 else 1))

    @cached_property
    def count(self) -> int:
        if self.counted is not None:
            return self.counted
        return self.object_list.order_by()[: self.limit_of(self.number)].count()  # type: ignore[attr-defined]


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
@same_for_everybody()
def browse(request: HttpRequest) -> HttpResponse:
    """Show all categories and the most used tags, each with its number of public videos."""
    videos = Video.objects.public().order_by()
    by_category = dict(videos.exclude(category=None).values_list("category").annotate(Count("pk")))
    used = VideoTag.objects.filter(video__in=videos).values_list("tag").annotate(number=Count("video"))
    by_tag = dict(used.order_by("-number", "tag")[:MAX_TAGS])
    rows = Category.objects.filter(pk__in=by_category)
    pictures = Picture.objects.addresses(rows)
    categories = [(row, by_category[row.pk], pictures.get(row.pk, "")) for row in rows]
    tags = [(row, by_tag[row.pk]) for row in Tag.objects.filter(pk__in=by_tag)]
    return render(request, "videos/browse.html", {"categories": categories, "tags": tags})


@csrf_exempt  # a password opens the video to the person who sends it, and changes nothing
@require_http_methods(["GET", "HEAD", "POST"])
@no_cache
def watch(request: HttpRequest, slug: str, grant: str = "") -> HttpResponse:
    """Show an open video to everyone, any other with a grant, a preview to editors, and else ask for the password."""
    video = shown.at(slug)
    if video is None:
        return gone_or_404(request, slug)
    is_shown = shown.admit(video, grant)
    is_editor = not is_shown and grants.may_preview(request.user, video)
    if not is_shown and passwords.is_needed(video) and (request.method == "POST" or not is_editor):
        return passwords.ask(request, video)
    if not (is_shown or is_editor):
        raise Http404("Not public")
    if request.method == "POST":
        return HttpResponseNotAllowed(["GET", "HEAD"])
    if video.slug != slug:  # only now: the present slug may tell the title, and not everybody may see the video
        return moved(request, video.slug)
    if not is_shown:
        return _preview(request, video)
    page = _watch_page(request, video)
    return marked(page, *PARAMETERS) if video.is_open else page


def _preview(request: HttpRequest, video: Video) -> HttpResponse:
    video.grant = grants.for_editor(request.user, video)
    chapters = Chapter.objects.filter(video=video).marks()
    context = {**shown.NO_EXTRAS, "video": video, "playable": is_playable(video), "chapters": chapters}
    context["tags"] = texts.links(texts.tags_of(video))
    return render(request, "videos/preview.html", context)


@require_safe
@no_cache
def shared(request: HttpRequest, token: str) -> HttpResponse:
    """Show a video to a guest with a link."""
    link = ShareLink.objects.find(token)
    video = shown.pageable().filter(pk=link.video_id, watchable=True).first() if link else None
    if link is None or video is None:
        raise Http404("No such link")
    link.record_use()
    video.grant = "" if video.is_open else grants.for_link(link)
    return _watch_page(request, video)


def _watch_page(request: HttpRequest, video: Video) -> HttpResponse:
    listed = video.in_force().visibility == Visibility.PUBLIC
    context = {**shown.NO_EXTRAS, "video": video, "listed": listed}
    context["start"] = start_of(request, video)
    context["download"] = downloads.offer(video)
    context["queue"] = queue.queue_of(request, video)
    context["embed_code"] = embed.code(video) if video.is_open else ""
    return render(request, "videos/watch.html", {**context, **texts.context(request, video)})


def gone_or_404(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer 410 for the former addresses of an archived public video; others are 404, as if they never existed."""
    if shown.is_gone(slug):
        return render(request, "410.html", status=HTTPStatus.GONE)
    raise Http404("No such video")


def start_of(request: HttpRequest, video: Video) -> int:
    """Return the second at which `?t=` asks the player to start; 0 if it is missing or invalid."""
    second = seconds_of(request.GET.get("t", ""))
    return second if second < video.duration else 0


def is_playable(video: Video) -> bool:
    """Whether the video can be played, finished or still being encoded."""
    working = video.status in (Video.Status.READY, Video.Status.PROCESSING)
    return working and paths.find_media(f"{paths.package_name(video)}/master.m3u8") is not None


@require_safe
def media(request: HttpRequest, address: str) -> HttpResponseBase:
    """Serve one file of a package to everyone who has the address of an open video, or a grant for another one.

    No session is read, and of an open video on this machine's disk not even the row.
    """
    wanted = paths.parse(address)
    if wanted is None:
        return media_not_found()
    try:
        path = paths.find_open(wanted) or _find_checked(wanted, ratelimit.client(request))
        if path is None:
            return media_not_found()
        granted = bool(wanted.grant)
        return playlist(request, path, granted) if path.suffix == ".m3u8" else file(request, path, granted)
    except FileNotFoundError:  # withdrawn after it was found
        return media_not_found()
    except (demand.NotYet, StoreError):
        return media_not_yet()


def _find_checked(wanted: paths.MediaAddress, client: str) -> Path | None:
    """Return a file after a look at the row of its video, as soon as it is made; None where it may not be sent."""
    video = grants.video_at(wanted.package, wanted.grant)
    if video is None:
        return None
    path = paths.find_media(wanted.file)
    if path is None:
        path = demand.wait_for(wanted.file, client)
        return path if path and grants.video_at(wanted.package, wanted.grant) else None
    if not wanted.grant:
        paths.note_open(video)
    return path


@require_safe
def media_access(request: HttpRequest, address: str) -> HttpResponse:
    """Tell nginx whether it may serve a file of a package: 204, or 403."""
    wanted = paths.parse(address)
    allowed = wanted is not None and grants.video_at(wanted.package, wanted.grant) is not None
    status = HTTPStatus.NO_CONTENT if allowed else HTTPStatus.FORBIDDEN
    return HttpResponse(status=status, headers={"Cache-Control": NOT_STORED})


def media_not_found() -> HttpResponse:
    """Return a 404 in plain text, since a page would read the session; uncached, since the file may appear soon."""
    return HttpResponseNotFound("Not found\n", content_type="text/plain", headers={"Cache-Control": NOT_STORED})


def media_not_yet() -> HttpResponse:
    """Return a 503 for a file that is not made yet or whose store is unreachable."""
    headers = {"Cache-Control": NOT_STORED, "Retry-After": "1", "Content-Type": "text/plain"}
    return HttpResponse("Not made yet\n", status=HTTPStatus.SERVICE_UNAVAILABLE, headers=headers)


@gzip_page
def playlist(request: HttpRequest, path: Path, granted: bool) -> HttpResponse:
    """Serve a playlist. Playlists are replaced while a video is encoded, so clients revalidate them on each use."""
    # Before the content is read: an outdated tag is revalidated, but a tag newer than its content would stay.
    etag, modified = files.version(path), http_date(path.stat().st_mtime)
    headers = {**delivery.headers(path, granted=granted), "Last-Modified": modified, "ETag": etag}
    response = HttpResponse(path.read_bytes(), headers=headers)
    return get_conditional_response(request, etag=etag, response=response) or response


def file(request: HttpRequest, path: Path, granted: bool) -> HttpResponseBase:
    """Serve any other file; redirect to the store for immutable files if it serves viewers itself."""
    address = "" if path.suffix in delivery.REPLACED else files.address(path, str(request.method), granted=granted)
    if address and "?" not in address and "v" in request.GET:  # of the current poster
        address += "?" + urlencode({"v": request.GET["v"]})
    if address:
        return HttpResponseRedirect(address, headers={"Cache-Control": NOT_STORED if granted else REDIRECTED})
    return ranges.whole_or_range(request, path, list(delivery.headers(path, granted=granted).items()))
