"""The home page: what is featured, the latest videos, and playlists."""

from functools import lru_cache
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from videos.models import Category, FeaturedVideo, Video
from videos.pages.cards import COLUMNS, Card
from videos.pages.playlists import latest, playlist_cards, rows_of
from videos.pages.views import list_page
from vlog import queries

FEATURED = 8
PLAYLISTS = 4
CHIPS = 8  # categories above the latest videos


@require_safe
@cache_control(no_cache=True)
def home(request: HttpRequest) -> HttpResponse:
    more: dict[str, Any] = {"featured": [], "categories": [], "playlists": []}
    if request.GET.get("page", "1") == "1":
        more = {
            "featured": [Card(*row) for row in queries.rows(*_featured_query())],
            "categories": [category for (category,) in queries.fetch(*_categories_query(), Category)],
            "playlists": playlist_cards(queries.rows(*_playlists_query())),
        }
    return list_page(request, "videos/home.html", Video.objects.public(), **more)


def categories() -> QuerySet[Category]:
    """Return the categories with public videos, in their order."""
    return Category.objects.filter(Exists(Video.objects.public().filter(category=OuterRef("pk"))))


# Composed once: that takes longer than these queries, and each home page asks them.


@lru_cache(maxsize=1)
def _featured_query() -> queries.Query:
    return queries.compile_query(FeaturedVideo.objects.shown().values_list(*COLUMNS)[:FEATURED])


@lru_cache(maxsize=1)
def _categories_query() -> queries.Query:
    return queries.compile_query(categories()[:CHIPS])


@lru_cache(maxsize=1)
def _playlists_query() -> queries.Query:
    return queries.compile_query(rows_of(latest()[:PLAYLISTS]))
