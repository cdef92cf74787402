"""Playlists: read them, change them, order their videos. docs/api.md describes the calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from django.core.paginator import InvalidPage, Paginator
from django.db import IntegrityError, transaction
from django.db.models import Count, Q
from django.http import HttpResponse
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework.exceptions import APIException, NotFound
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from videos import history
from videos.api import examples, filters, public, public_fields
from videos.api.playlist_fields import (
    ItemSerializer,
    PlaylistPage,
    PlaylistSerializer,
    PlaylistWithFields,
    representation,
    summary,
    validated,
)
from videos.api.preconditions import required_version, version_of
from videos.api.reading import SAFE, ReadByEverybody, plain
from videos.api.videos import IF_MATCH
from videos.models import Playlist, PlaylistFull, Video, lock_videos
from videos.models.addresses import is_slug_collision, with_free_slug
from videos.uploads.tus import DetailsParser, Refusal
from vlog import audit
from vlog.models import Scope

PAGE_SIZE = 100
READING = ("GET", "HEAD", "OPTIONS")
CONFLICT = "The playlist was changed meanwhile, so nothing was changed. Read it again, and send the present version."


class PlaylistConflict(APIException):
    """The playlist has another version than the change was made from."""

    status_code = HTTPStatus.PRECONDITION_FAILED

    def __init__(self, version: int) -> None:
        super().__init__(CONFLICT)
        self.detail: Any = {"detail": CONFLICT, "version": version}


class MayUsePlaylists(BasePermission):
    """Allows staff with the permission that the admin asks for, too."""

    message = "Your account does not have permission to do this with playlists."

    def has_permission(self, request: Request, view: Any) -> bool:
        rights = ("view", "change") if request.method in READING else (view.rights.get(request.method, "change"),)
        may = any(request.user.has_perm(f"videos.{right}_playlist") for right in rights)
        return request.user.is_staff and (may or request.method == "OPTIONS")


class MayReadOrUsePlaylists(MayUsePlaylists):
    """Lets everybody read: what they get depends on the same permission."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.method in SAFE or super().has_permission(request, view)


ANY_PAGE = PolymorphicProxySerializer(
    "AnyPlaylistPage",
    [public.page_serializer(public_fields.PublicPlaylistSummary, "PublicPlaylistPage"), PlaylistPage],
    resource_type_field_name=None,
)
ANY_PLAYLIST = PolymorphicProxySerializer(
    "AnyPlaylist", [public_fields.PublicPlaylist, PlaylistSerializer], resource_type_field_name=None
)
PAGE_EXAMPLE = {"next": None, "results": [examples.PLAYLIST_SUMMARY]}


class PlaylistCalls(APIView):
    """What the calls of playlists share. rights: what a method needs, if that is not the right to change."""

    permission_classes = [MayUsePlaylists]
    parser_classes = [DetailsParser]
    rights: dict[str, str] = {}

    @property
    def token_scope(self) -> Any:
        return (Scope.READ, Scope.EDIT) if self.request.method in ("GET", "HEAD") else Scope.EDIT

    def answer(self, playlist_id: int, status: int = HTTPStatus.OK) -> Response:
        """Return the playlist as it is now, with its version as ETag."""
        playlist = Playlist.objects.filter(pk=playlist_id).first()
        if playlist is None:
            raise NotFound("The playlist was deleted meanwhile.")
        headers = {"ETag": f'"{playlist.version}"', "Cache-Control": "no-store"}
        return Response(representation(playlist), status, headers=headers)


class PlaylistsView(ReadByEverybody, PlaylistCalls):
    permission_classes = [MayReadOrUsePlaylists]
    rights = {"POST": "add"}

    @extend_schema(
        operation_id="v1_playlists_list",
        parameters=[OpenApiParameter("page", int, description="For editors, instead of a cursor"), *filters.PAGING],
        responses=OpenApiResponse(ANY_PAGE, examples=[OpenApiExample("For everybody", value=PAGE_EXAMPLE)]),
    )
    def get(self, request: Request) -> HttpResponse:
        """List the public playlists to everybody, all playlists by title to editors; without their videos."""
        if not MayUsePlaylists().has_permission(request, self):
            return public.of_playlists(request)
        rows = Playlist.objects.annotate(number=Count("items", filter=Q(items__video__deleted_at=None)))
        try:
            page = Paginator(rows.order_by("title", "pk"), PAGE_SIZE).page(request.GET.get("page", "1"))
        except InvalidPage as error:
            raise NotFound("There is no such page.") from error
        following = page.next_page_number() if page.has_next() else None
        found = {"count": page.paginator.count, "next_page": following, "results": [summary(row) for row in page]}
        return plain(Response(found, headers={"Cache-Control": "no-store"}))

    @extend_schema(request=PlaylistWithFields, responses={201: PlaylistSerializer})
    def post(self, request: Request) -> Response:
        """Create a playlist; without a slug it gets one that is made from the title."""
        fields = validated(request.data, None, request.user)
        videos = fields.pop("videos", [])
        with refused(), transaction.atomic():
            playlist = with_free_slug(lambda: Playlist.objects.create(**fields))
            audit.record("created", subject=playlist, after=history.values_of(playlist))
            playlist.replace(videos)
        return self.answer(playlist.pk, HTTPStatus.CREATED)


class PlaylistView(ReadByEverybody, PlaylistCalls):
    permission_classes = [MayReadOrUsePlaylists]
    rights = {"DELETE": "delete"}

    @extend_schema(
        responses=OpenApiResponse(ANY_PLAYLIST, examples=[OpenApiExample("For everybody", value=examples.PLAYLIST)])
    )
    def get(self, request: Request, slug: str) -> HttpResponse:
        """Answer a playlist with its videos in their order; to editors with its version as ETag."""
        if MayUsePlaylists().has_permission(request, self):
            return plain(self.answer(found(slug).pk))
        return public.of_playlist(request, slug)

    @extend_schema(
        request=PlaylistWithFields,
        parameters=[IF_MATCH],
        responses={200: PlaylistSerializer, 412: OpenApiResponse(description="Changed meanwhile")},
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Change the fields that are given, all or none. `videos` are all its videos, in their order."""
        playlist, version = found(slug), required_version(request)
        fields = validated(request.data, playlist, request.user)
        videos = fields.pop("videos", None)
        with refused(), transaction.atomic():
            lock_videos(videos or ())
            locked = found(slug, lock=True)
            if locked.version != version:
                raise PlaylistConflict(locked.version)
            with history.recorded(locked):
                for name, value in fields.items():
                    setattr(locked, name, value)
                if fields:
                    locked.save(update_fields=list(fields))
            if videos is not None:
                locked.replace(videos)
        return self.answer(playlist.pk)

    @extend_schema(parameters=[IF_MATCH], responses={204: None})
    def delete(self, request: Request, slug: str) -> Response:
        """Delete a playlist; its videos stay. If-Match is optional."""
        version = version_of(request)
        with transaction.atomic():
            playlist = found(slug, lock=True)
            if version not in (None, playlist.version):
                raise PlaylistConflict(playlist.version)
            audit.record("deleted", subject=playlist, before=history.values_of(playlist))
            playlist.delete()
        return Response(status=HTTPStatus.NO_CONTENT)


class PlaylistVideosView(PlaylistCalls):
    @extend_schema(request=ItemSerializer, responses={200: PlaylistSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Add a video or move it: before another one of the playlist, or without `before` to the end."""
        playlist = found(slug)
        serializer = ItemSerializer(data=request.data, context={"playlist": playlist, "user": request.user})
        serializer.is_valid(raise_exception=True)
        video, before = serializer.validated_data["video"], serializer.validated_data.get("before")
        with refused(), transaction.atomic():
            if not playlist.add([video], before):
                playlist.move(video, before)
        return self.answer(playlist.pk)


class PlaylistVideoView(PlaylistCalls):
    @extend_schema(operation_id="v1_playlists_videos_remove", responses={200: PlaylistSerializer})
    def delete(self, request: Request, slug: str, video: str) -> Response:
        """Remove a video from a playlist."""
        playlist, row = found(slug), Video.objects.for_editor(request.user).listed().not_archived().at(video)
        with refused():
            if row is None or not playlist.remove([row.pk]):
                raise NotFound(f"The playlist has no video {video}.")
        return self.answer(playlist.pk)


@contextmanager
def refused() -> Iterator[None]:
    """Turn what the verbs of playlists refuse into answers."""
    try:
        yield
    except PlaylistFull as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from error
    except Playlist.DoesNotExist as error:
        raise NotFound("The playlist was deleted meanwhile.") from error
    except IntegrityError as error:
        if not is_slug_collision(error):
            raise
        raise Refusal(HTTPStatus.BAD_REQUEST, "slug: another playlist has got this slug just now.") from error


def found(slug: str, *, lock: bool = False) -> Playlist:
    """Return the playlist that has this slug or had it, locked if asked for. Raises NotFound."""
    rows = Playlist.objects.select_for_update(of=("self",), no_key=True) if lock else Playlist.objects.all()
    playlist = rows.at(slug)
    if playlist is None:
        raise NotFound(f"There is no playlist {slug}.")
    return playlist
