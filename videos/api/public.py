"""What everybody may read: the public videos, one video, categories, tags, playlists and the search.

The addresses of one video and of playlists answer editors with more: videos/api/videos.py and playlists.py.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ParseError, Throttled
from rest_framework.request import Request

from videos.api import cursors, examples, filters
from videos.api import public_fields as fields
from videos.api.reading import PublicCall, kept, next_address, page_of
from videos.formatting import absolute
from videos.models import Category, Playlist, PlaylistVisibility, Tag, Video, VideoTag
from videos.pages import search, shown
from vlog import ratelimit

WORDS = OpenApiParameter("q", str, required=True, description='Words, "phrases", -excluded, or')
TOO_MANY_SEARCHES = "There were too many searches from your network."


OTHERS: dict[int, OpenApiResponse] = {
    HTTPStatus.NOT_MODIFIED: OpenApiResponse(description="The client has this answer: If-None-Match"),
    HTTPStatus.BAD_REQUEST: OpenApiResponse(description="An unknown parameter, or a value that makes no sense"),
    HTTPStatus.TOO_MANY_REQUESTS: OpenApiResponse(description="Too many calls; Retry-After has the seconds to wait"),
}


def page_serializer(results: type[serializers.Serializer[Any]], name: str) -> serializers.Serializer[Any]:
    """Return the serializer of a page of these."""
    described = serializers.CharField(allow_null=True, help_text="The address of the next page")
    made = type(name, (serializers.Serializer,), {"next": described, "results": results(many=True)})
    return made()


def documented(
    name: str, results: type[serializers.Serializer[Any]], parameters: list[Any], example: Any
) -> Callable[[Any], Any]:
    """Return the decorator that describes a list in the OpenAPI document."""
    answer = OpenApiResponse(
        page_serializer(results, f"{results.__name__}Page"),
        examples=[OpenApiExample("A page", value={"next": None, "results": [example]})],
    )
    return extend_schema(operation_id=name, parameters=parameters, responses={HTTPStatus.OK: answer, **OTHERS}, auth=[])


class VideosView(PublicCall):
    @documented("v1_videos_list", fields.VideoSummary, filters.PARAMETERS, examples.SUMMARY)
    def get(self, request: Request) -> HttpResponse:
        """List the public videos, the latest first."""
        filters.check_names(request, filters.PARAMETERS)
        limit, videos = cursors.limit_of(request), filters.narrowed(Video.objects.public(), request)
        rows = cursors.videos_after(videos, request.GET.get("cursor", "")).newest()
        rows = rows.select_related("category").prefetch_related("tags").defer("description")
        return page_of(request, list(rows[: limit + 1]), limit, cursors.of_video, _summaries)


def _summaries(videos: list[Video]) -> list[dict[str, Any]]:
    return [fields.summary(video) for video in videos]


def video_or_404(slug: str) -> Video:
    """Return a video that everybody with its address may watch, by its slug or an old one. Raises NotFound."""
    video = shown.pageable().prefetch_related("tags").at(slug)
    if video is None or not video.is_open:
        raise NotFound(f"There is no video {slug}.")
    return video


def of_video(request: Request, slug: str) -> HttpResponse:
    return kept(request, fields.representation(video_or_404(slug)))


class CategoriesView(PublicCall):
    @documented("v1_categories_list", fields.Group, filters.PAGING, examples.CATEGORY)
    def get(self, request: Request) -> HttpResponse:
        """List the categories with public videos, by their slugs."""
        public = Video.objects.public().filter(category=OuterRef("pk"))
        return _by_slug(request, Category.objects.filter(Exists(public)), fields.categories)


class TagsView(PublicCall):
    @documented("v1_tags_list", fields.Group, filters.PAGING, examples.TAG)
    def get(self, request: Request) -> HttpResponse:
        """List the tags of public videos, by their slugs."""
        public = VideoTag.objects.filter(tag=OuterRef("pk"), video__in=Video.objects.public().order_by())
        return _by_slug(request, Tag.objects.filter(Exists(public)), fields.tags)


def _by_slug(request: Request, rows: QuerySet[Any], represented: Callable[[list[Any]], Any]) -> HttpResponse:
    """Return a page of rows in the order of their slugs."""
    filters.check_names(request, filters.PAGING)
    limit = cursors.limit_of(request)
    if cursor := request.GET.get("cursor", ""):
        rows = rows.filter(slug__gt=cursors.decoded(cursor, str)[0])
    found = list(rows.order_by("slug")[: limit + 1])
    return page_of(request, found, limit, lambda row: cursors.encoded(row.slug), represented)


def of_playlists(request: Request) -> HttpResponse:
    """Return a page of the public playlists with public videos, by their slugs."""
    rows = Playlist.objects.listed()
    return _by_slug(request, rows, lambda found: [fields.playlist_summary(row) for row in found])


def of_playlist(request: Request, slug: str) -> HttpResponse:
    """Return a playlist that is not private, by its slug or an old one. Raises NotFound."""
    row = Playlist.objects.at(slug)
    if row is None or row.visibility == PlaylistVisibility.PRIVATE:
        raise NotFound(f"There is no playlist {slug}.")
    return kept(request, fields.playlist_representation(row))


class SearchView(PublicCall):
    @documented("v1_search_list", fields.Hit, [WORDS, *filters.PAGING], examples.HIT)
    def get(self, request: Request) -> HttpResponse:
        """Search the public videos: titles, descriptions, tags, categories and captions. The best come first."""
        filters.check_names(request, [WORDS, *filters.PAGING])
        text, limit = request.GET.get("q", ""), cursors.limit_of(request)
        if not text.strip() or "\0" in text:
            raise ParseError("q: the words to search for.")
        if wait := ratelimit.wait(ratelimit.client(request._request), "search", settings.SEARCH_LIMIT):
            raise Throttled(int(wait) + 1, TOO_MANY_SEARCHES)
        offset = _offset(request.GET.get("cursor", ""))
        found = search.find(text, limit=limit, offset=offset)
        end = offset + limit
        following = next_address(request._request, cursors.encoded(end)) if end < found.total else None
        return kept(request, {"next": following, "results": _hits(found.hits)})


def _offset(cursor: str) -> int:
    offset = cursors.decoded(cursor, int)[0] if cursor else 0
    if not 0 <= offset < search.MAX_RESULTS:
        raise ParseError(cursors.WRONG)
    return int(offset)


def _hits(hits: list[search.Hit]) -> list[dict[str, Any]]:
    wanted = Video.objects.filter(pk__in=[hit.card.pk for hit in hits])
    rows = wanted.select_related("category").prefetch_related("tags").defer("description").in_bulk()
    return [
        {
            "video": fields.summary(rows[hit.card.pk]),
            "title_html": str(hit.title),
            "excerpt_html": str(hit.snippet),
            "moment": _moment(rows[hit.card.pk], hit.moment),
        }
        for hit in hits
        if hit.card.pk in rows  # else deleted meanwhile
    ]


def _moment(video: Video, moment: search.Moment | None) -> dict[str, Any] | None:
    if moment is None:
        return None
    query = f"?t={moment.seconds}&captions={moment.track.number}"
    return {
        "start": moment.seconds,
        "html": str(moment.text),
        "captions": moment.track.number,
        "url": absolute(f"{video.get_absolute_url()}{query}"),
    }
