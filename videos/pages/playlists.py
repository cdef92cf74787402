"""Playlists as viewers see them: their pages, their feeds and their cards in lists."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.core.paginator import Paginator
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, JSONArray
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from videos.models import Picture, Playlist, PlaylistVisibility, Video, VideoQuerySet, address_of, picture_url
from videos.pages.cards import moment_of
from videos.pages.feeds import CategoryFeed, xml_text
from videos.pages.queue import in_order, may_see
from videos.pages.redirects import moved, row_or_404
from videos.pages.views import LongPaginator, numbers_of, page_or_404
from videos.storage.paths import poster_url
from vlog import site
from vlog.serving.everybody import same_for_everybody

PAGE_SIZE = 48
LATEST = ("-updated_at", "-pk")

no_cache = cache_control(no_cache=True)


class PlaylistCard(NamedTuple):
    """A public playlist in a list, with the number of its public videos, and the latest publication among them."""

    title: str
    slug: str
    number: int
    newest: datetime | None
    picture: str

    @property
    def url(self) -> str:
        return address_of("playlist", self.slug)


class PosterColumns(NamedTuple):
    """The columns of a video that determine the address of its poster."""

    pk: int
    package_number: int | None
    media_key: str
    poster_version: int

    @property
    def grant(self) -> str:
        return ""  # lists show only what everybody may watch


@require_safe
@no_cache
@same_for_everybody("page")
def playlist(request: HttpRequest, slug: str) -> HttpResponse:
    found = row_or_404(Playlist.objects.all(), slug)
    if not may_see(request, found):
        raise Http404("No such playlist")
    if found.slug != slug:
        return moved(request, found.slug)
    ids, number = list(found.shown().values_list("pk", flat=True)), request.GET.get("page", "1")
    page = page_or_404(Paginator(ids, PAGE_SIZE), number)
    shown = dict(zip(range(page.start_index(), len(ids) + 1), in_order(list(page.object_list)), strict=False))
    context = {"playlist": found, "page": page, "page_numbers": numbers_of(page), "entries": shown.items()}
    context["picture"] = Picture.objects.addresses([found]).get(found.pk, "")
    return render(request, "videos/playlist.html", context)


@require_safe
@no_cache
@same_for_everybody("page")
def playlists(request: HttpRequest) -> HttpResponse:
    """Show the public playlists with public videos, those changed last first."""
    number = request.GET.get("page", "1")
    page = page_or_404(LongPaginator(latest().values_list("pk"), number), number)
    listed = Playlist.objects.filter(pk__in=[pk for (pk,) in page.object_list]).order_by(*LATEST)
    shown = playlist_cards(rows_of(listed))
    context = {"page": page, "page_numbers": numbers_of(page), "playlists": shown}
    return render(request, "videos/playlists.html", context)


def latest() -> QuerySet[Playlist]:
    return Playlist.objects.listed().order_by(*LATEST)


def rows_of(found: QuerySet[Playlist]) -> QuerySet[Playlist, tuple[Any, ...]]:
    """Return what `playlist_cards` needs of listed playlists."""
    shown = Video.objects.public().filter(playlist_items__playlist=OuterRef("pk"))
    # Of the chosen video, or the first one.
    posters = Video.objects.filter(pk=Coalesce(OuterRef("chosen"), OuterRef("first")))
    numbers = shown.order_by().values("playlist_items__playlist").annotate(number=Count("pk"))
    return found.annotate(
        number=Subquery(numbers.values("number")),
        newest=Subquery(shown.newest().values("published_at")[:1]),
        first=Subquery(shown.order_by("playlist_items__position").values("pk")[:1]),
        chosen=Subquery(Video.objects.public().filter(pk=OuterRef("poster_video")).values("pk")),
        picture=Subquery(Picture.objects.filter(playlist=OuterRef("pk")).values("key")),
        poster=Subquery(posters.values(columns=JSONArray(*PosterColumns._fields))),
    ).values_list("title", "slug", "number", "newest", "picture", "poster")


def playlist_cards(rows: Iterable[Sequence[Any]] | None) -> list[PlaylistCard]:
    """Return the cards of these rows, in which a moment may be a text of JSON."""
    return [
        PlaylistCard(title, slug, number, moment_of(newest), picture_url(picture) or poster_url(PosterColumns(*poster)))
        for title, slug, number, newest, picture, poster in rows or ()
    ]


class PlaylistFeed(CategoryFeed):
    """The feed of one playlist: the latest of its videos."""

    def __call__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().__call__(request, *args, **kwargs)
        if not Playlist.objects.public().filter(slug=kwargs["slug"]).exists():
            response.headers["X-Robots-Tag"], response.headers["Cache-Control"] = "noindex", "no-cache"
        return response

    def row(self, slug: str) -> Playlist:
        found = row_or_404(Playlist.objects.all(), slug)
        if found.visibility == PlaylistVisibility.PRIVATE:
            raise Http404("No such playlist")
        return found

    def title(self, of: Playlist) -> str:
        return xml_text(f"{site.current().name}: {of.title}")

    def description(self, of: Playlist) -> str:
        return xml_text(of.description or f"The latest videos: {of.title}")

    def videos(self, of: Playlist) -> VideoQuerySet:
        return of.shown()
