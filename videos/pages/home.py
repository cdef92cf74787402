"""The home page: what is featured, the latest videos, and playlists."""

from functools import lru_cache
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from videos.models import Category, FeaturedVideo, Video, address_of
from videos.pages.cards import COLUMNS, cards_of
from videos.pages.playlists import latest, playlist_cards, rows_of
from videos.pages.views import PAGE_SIZE, LongPaginator, list_page, numbers_of
from vlog import queries
from vlog.serving.everybody import same_for_everybody

FEATURED = 8
PLAYLISTS = 4
CHIPS = 8  # categories above the latest videos
FIRST = "1"  # the page that has more than videos


@require_safe
@cache_control(no_cache=True)
@same_for_everybody("page")
def home(request: HttpRequest) -> HttpResponse:
    if request.GET.get("page", FIRST) == FIRST:
        return render(request, "videos/home.html", _first_page())
    rest: dict[str, Any] = {"featured": [], "categories": [], "playlists": []}
    return list_page(request, "videos/home.html", Video.objects.public(), **rest)


def categories() -> QuerySet[Category]:
    """Return the categories with public videos, in their order."""
    return Category.objects.filter(Exists(Video.objects.public().filter(category=OuterRef("pk"))))


def _first_page() -> dict[str, Any]:
    """Return what the first page shows, in one query."""
    featured, chips, playlists, number, newest = _statement().row() or ()
    page = LongPaginator(Video.objects.none(), FIRST, counted=number).page(1)
    return {
        "featured": cards_of(featured),
        "categories": [(name, address_of("category", slug)) for name, slug in chips or ()],
        "playlists": playlist_cards(playlists),
        "page": page,
        "page_numbers": numbers_of(page),
        "cards": cards_of(newest),
    }


@lru_cache(maxsize=1)
def _statement() -> queries.Statement:
    public = Video.objects.public().newest()
    return queries.combine(
        queries.array(FeaturedVideo.objects.shown().values_list(*COLUMNS)[:FEATURED]),
        queries.array(categories().values_list("name", "slug")[:CHIPS]),
        queries.array(rows_of(latest()[:PLAYLISTS])),
        queries.count(public.order_by().values_list("pk")[: LongPaginator.limit_of(FIRST)]),
        queries.array(public.values_list(*COLUMNS)[:PAGE_SIZE]),
    )
