"""The sitemap: an index, a file of pages, and files of videos with what search engines show of each.

A file of videos has those with ids of one range, so it changes only where its videos do, and the last one costs as much
as the first. docs/pages.md describes the addresses.
"""

from collections.abc import Iterable, Iterator
from typing import Any
from xml.sax.saxutils import escape

from django.conf import settings
from django.db.models import Exists, F, IntegerField, OuterRef
from django.db.models.functions import Cast
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_safe

from videos.formatting import absolute
from videos.models import Category, OwnPage, Playlist, Tag, Video, VideoTag, address_of
from videos.pages.feeds import fresh_seconds, xml_text
from videos.storage.paths import package_url, poster_url

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
PROTOCOL = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
OF_VIDEOS = 'xmlns:video="http://www.google.com/schemas/sitemap-video/1.1"'
SIZE = 500  # ids of one file: it takes a tenth of a second at most
MAX_OF_KIND = 10_000  # categories, tags and playlists each; one file may have 50,000 addresses
MAX_DESCRIPTION, MAX_TITLE, MAX_TAGS, MAX_DURATION = 2048, 100, 32, 28_800  # Google's
PAGES = "pages"


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """List the files of the sitemap."""
    number = Cast(F("pk") / SIZE, IntegerField())
    numbers = Video.objects.public().order_by().annotate(number=number).values_list("number", flat=True).distinct()
    names = [PAGES, *(f"videos-{number}" for number in sorted(numbers))]
    places = (f"<sitemap>{_place(reverse('sitemap-part', args=[name]))}</sitemap>" for name in names)
    return _answer("sitemapindex", PROTOCOL, places)


@require_safe
def part(request: HttpRequest, name: str) -> HttpResponse:
    """Return one file: the pages, or the videos with ids of one range."""
    kind, _, number = name.partition("-")
    if name == PAGES:
        return _answer("urlset", PROTOCOL, (f"<url>{_place(path)}</url>" for path in _pages()))
    if kind != "videos" or not (number.isascii() and number.isdecimal() and len(number) < 8):
        raise Http404("No such part of the sitemap")
    first = int(number) * SIZE
    found = Video.objects.public().filter(pk__gte=first, pk__lt=first + SIZE).order_by("pk")
    videos = found.select_related("category").prefetch_related("tags")
    return _answer("urlset", f"{PROTOCOL} {OF_VIDEOS}", map(_video, videos))


def _pages() -> Iterator[str]:
    """Yield the addresses of what is no video."""
    yield from (reverse("home"), reverse("browse"), reverse("months"))
    playlists = [row.get_absolute_url() for row in Playlist.objects.listed()[:MAX_OF_KIND]]
    yield from ([reverse("playlists")] if playlists else [])
    yield from playlists
    yield from (row.get_absolute_url() for row in Category.objects.all()[:MAX_OF_KIND])
    used = VideoTag.objects.filter(tag=OuterRef("pk"), video__in=Video.objects.public().order_by())
    yield from (row.get_absolute_url() for row in Tag.objects.filter(Exists(used)).order_by("slug")[:MAX_OF_KIND])
    yield from (reverse("own-page", args=[slug]) for slug in OwnPage.objects.values_list("slug", flat=True))


def _place(path: str) -> str:
    return f"<loc>{escape(absolute(path))}</loc>"


def _video(video: Video) -> str:
    facts = "".join(_element(f"video:{name}", value) for name, value in _facts(video) if value)
    return f"<url>{_place(video.get_absolute_url())}<video:video>{facts}</video:video></url>"


def _facts(video: Video) -> Iterator[tuple[str, Any]]:
    """Yield the elements that describe a video, in the order of the schema."""
    yield "thumbnail_loc", absolute(poster_url(video))
    yield "title", video.title[:MAX_TITLE]
    yield "description", (video.description.strip() or video.title)[:MAX_DESCRIPTION]
    if settings.EMBED_SITES:
        yield "player_loc", absolute(address_of("embed", video.slug))
    else:
        yield "content_loc", absolute(package_url(video, "master.m3u8"))
    yield "duration", min(round(video.duration), MAX_DURATION)
    yield "view_count", video.view_count
    yield "publication_date", video.published_at.isoformat(timespec="seconds") if video.published_at else ""
    yield from (("tag", tag.name) for tag in list(video.tags.all())[:MAX_TAGS])
    yield "category", video.category.name if video.category else ""


def _element(name: str, value: Any) -> str:
    return f"<{name}>{escape(xml_text(str(value)))}</{name}>"


def _answer(root: str, attributes: str, elements: Iterable[str]) -> HttpResponse:
    text = "\n".join([f"{HEAD}<{root} {attributes}>", *elements, f"</{root}>\n"])
    response = HttpResponse(text, content_type="application/xml")
    patch_cache_control(response, public=True, max_age=fresh_seconds())
    return response
