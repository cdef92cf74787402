"""The home page: what is featured, the latest videos, and playlists."""

from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from videos.models import Category, FeaturedVideo, Video
from videos.pages.cards import cards
from videos.pages.playlists import latest, playlist_cards
from videos.pages.views import list_page

FEATURED = 8
PLAYLISTS = 4
CHIPS = 8  # categories above the latest videos


@require_safe
@cache_control(no_cache=True)
def home(request: HttpRequest) -> HttpResponse:
    more = {}
    if request.GET.get("page", "1") == "1":
        more = {
            "featured": cards(FeaturedVideo.objects.shown()[:FEATURED]),
            "categories": categories()[:CHIPS],
            "playlists": playlist_cards(latest()[:PLAYLISTS]),
        }
    return list_page(request, "videos/home.html", Video.objects.public(), **more)


def categories() -> QuerySet[Category]:
    """Return the categories with public videos, in their order."""
    return Category.objects.filter(Exists(Video.objects.public().filter(category=OuterRef("pk"))))
