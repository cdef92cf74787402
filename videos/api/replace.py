"""Another file for a video."""

from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

from django.core.files.uploadedfile import TemporaryUploadedFile
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, NotFound, ParseError
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from transcoding.steps.file_versions import VersionError
from videos import uploads
from videos.models import Video
from videos.uploads import UploadError
from videos.uploads.form import takes_files
from vlog.models import Scope

NO_FILE = "Send the file as multipart/form-data, in the field `file`."
PERMISSION = "videos.change_video"


class Conflict(APIException):
    status_code = HTTPStatus.CONFLICT


class MayReplace(BasePermission):
    """Allows staff with the permission to change videos."""

    message = "Your account does not have permission to replace the files of videos."

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.user.is_staff and request.user.has_perm(PERMISSION)


class FileSerializer(serializers.Serializer[Any]):
    """The new file."""

    file = serializers.FileField()


class ReplacedSerializer(serializers.Serializer[Any]):
    """A video whose new version is being made."""

    id = serializers.IntegerField()
    slug = serializers.CharField()
    url = serializers.CharField(help_text="A path on this site")
    file_version = serializers.IntegerField(help_text="Counts the versions of the file, from 1")


class ReplaceView(APIView):
    """Replace the file of a video. A token needs the scope edit."""

    permission_classes = [MayReplace]
    parser_classes = [MultiPartParser]
    token_scope = Scope.EDIT

    @extend_schema(request={"multipart/form-data": FileSerializer}, responses={202: ReplacedSerializer})
    def post(self, request: Request, slug: str) -> Response:
        found = Video.objects.for_editor(request.user).listed().not_archived().at(slug)
        if found is None:
            raise NotFound(f"There is no video {slug}.")
        file = cast(TemporaryUploadedFile | None, request.FILES.get("file"))
        if file is None:
            raise ParseError(NO_FILE)
        try:
            video = uploads.replace(found.pk, Path(file.temporary_file_path()), name=str(file.name))
        except UploadError as error:
            raise ParseError(str(error)) from error
        except VersionError as error:
            raise Conflict(str(error)) from error
        newest = video.file_versions.latest("number")
        answer = {"id": video.pk, "slug": video.slug, "url": video.get_absolute_url(), "file_version": newest.number}
        return Response(answer, HTTPStatus.ACCEPTED)


replace = takes_files(PERMISSION)(ReplaceView.as_view())
