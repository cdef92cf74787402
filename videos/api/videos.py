"""One video: read, change, archive, re-encode."""

from http import HTTPStatus
from typing import Any, cast

from django.contrib.auth.models import AnonymousUser, User
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework.exceptions import NotFound
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from transcoding.operations import control
from videos import archive, editing, history
from videos.api import examples, public, public_fields
from videos.api.fields import VideoSerializer, VideoWithFields, differences, representation, validated
from videos.api.preconditions import Conflict, required_version, version_of
from videos.api.reading import SAFE, ReadByEverybody, plain
from videos.models import Video
from videos.models.addresses import is_slug_collision
from videos.publication import PublicationError
from videos.uploads.tus import DetailsParser, Refusal
from vlog.models import Scope

RIGHTS = {"GET": ("view", "change"), "HEAD": ("view", "change"), "PATCH": ("change",), "DELETE": ("delete",)}
IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The version that the change is made from: the ETag of GET"
)


class MayUseVideo(BasePermission):
    """Allows staff with the permission that the admin asks for, too."""

    message = "Your account does not have permission to do this with videos."

    def has_permission(self, request: Request, view: Any) -> bool:
        rights = RIGHTS.get(str(request.method), ())
        may = any(request.user.has_perm(f"videos.{right}_video") for right in rights)
        return request.user.is_staff and (may or request.method == "OPTIONS")


class MayReadOrUseVideo(MayUseVideo):
    """Lets everybody read: what they get depends on the same permission."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.method in SAFE or super().has_permission(request, view)


class MayManageJobs(BasePermission):
    """Allows staff who may retry and re-encode in the admin."""

    message = "Your account does not have permission to encode videos again."

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.user.is_staff and request.user.has_perm("transcoding.manage_job")


class OneVideoView(APIView):
    """What the calls of one video share. The address has the slug of a video that is not archived."""

    parser_classes = [DetailsParser]
    token_scope: Any = Scope.EDIT

    def answer(self, request: Request, slug: str, status: int = HTTPStatus.OK) -> Response:
        """Return the video as it is now, with its version as ETag."""
        video = found(slug, request.user)
        return Response(representation(video, cast(User, request.user)), status, headers=headers_of(video))


ANY_VIDEO = PolymorphicProxySerializer(
    "AnyVideo", [public_fields.PublicVideo, VideoSerializer], resource_type_field_name=None
)


class VideoView(ReadByEverybody, OneVideoView):
    permission_classes = [MayReadOrUseVideo]

    @property
    def token_scope(self) -> Any:
        return (Scope.READ, Scope.EDIT) if self.request.method in ("GET", "HEAD") else Scope.EDIT

    @extend_schema(
        responses=OpenApiResponse(ANY_VIDEO, examples=[OpenApiExample("For everybody", value=examples.VIDEO)]),
    )
    def get(self, request: Request, slug: str) -> HttpResponse:
        """Answer a public or unlisted video to everybody; any to its editors, with its version as ETag."""
        if MayUseVideo().has_permission(request, self):
            try:
                return plain(self.answer(request, slug))
            except NotFound:  # of another category than the account is limited to
                return public.of_video(request, slug)
        return public.of_video(request, slug)

    @extend_schema(
        request=VideoWithFields,
        parameters=[IF_MATCH],
        responses={200: VideoSerializer, 412: OpenApiResponse(description="Changed meanwhile: both values per field")},
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Change the fields that are given, all or none."""
        video, version = found(slug, request.user), required_version(request)
        fields = validated(request.data, video, request.user)
        try:
            with transaction.atomic():
                video = locked(video.pk, slug)
                if version != video.version:
                    raise Conflict(video, differences(video, fields))
                with history.recorded(video):
                    editing.change(video, **fields.as_change(video))
        except PublicationError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from error
        except IntegrityError as error:
            if not is_slug_collision(error):
                raise
            raise Refusal(HTTPStatus.BAD_REQUEST, "slug: another video has got this slug just now.") from error
        return self.answer(request, Video.objects.get(pk=video.pk).slug)

    @extend_schema(parameters=[IF_MATCH], responses={204: None})
    def delete(self, request: Request, slug: str) -> Response:
        """Move a video to the archive; If-Match is optional."""
        video, version = found(slug, request.user), version_of(request)
        if not archive.archive(video.pk, request.user.get_username(), version):
            raise Conflict(found(slug, request.user), {})
        return Response(status=HTTPStatus.NO_CONTENT)


class EncodeView(OneVideoView):
    permission_classes = [MayManageJobs]

    @extend_schema(request=None, responses={202: VideoSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Make a video again from its source."""
        job = getattr(found(slug, request.user), "job", None)
        try:
            if job is None:
                raise control.Refused("This video has no job, so it cannot be encoded.")
            control.re_encode(job)
        except control.Refused as refusal:
            raise Refusal(HTTPStatus.CONFLICT, str(refusal)) from refusal
        return self.answer(request, slug, HTTPStatus.ACCEPTED)


def found(slug: str, user: User | AnonymousUser) -> Video:
    """Return the video of this editor that has this slug or had it, and is not archived. Raises NotFound."""
    videos = (
        Video.objects.for_editor(user)
        .listed()
        .not_archived()
        .select_related("category", "job")
        .prefetch_related("tags", "changes")
    )
    if (video := videos.at(slug)) is None:
        raise missing(slug)
    return video


def locked(video_id: int, slug: str) -> Video:
    """Lock a video, so that its version stays the one that is compared. Raises NotFound."""
    video = Video.objects.listed().not_archived().select_for_update(no_key=True).filter(pk=video_id).first()
    if video is None:
        raise missing(slug)
    return video


def missing(slug: str) -> NotFound:
    return NotFound(f"There is no video {slug}. If it was archived, restore it first.")


def headers_of(video: Video) -> dict[str, str]:
    return {"ETag": f'"{video.version}"', "Cache-Control": "no-store"}
