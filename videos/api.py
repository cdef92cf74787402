"""The editors' HTTP API."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from videos import archive


class MayRestore(BasePermission):
    """Allows staff with the permission to change archived videos."""

    message = "Your account does not have permission to restore videos."

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.user.is_staff and request.user.has_perm("videos.change_archivedvideo")


class RestoredSerializer(serializers.Serializer[Any]):
    """A video that has been restored."""

    id = serializers.IntegerField()
    slug = serializers.CharField()
    url = serializers.CharField(help_text="On this site")


class RestoreView(APIView):
    """Restore a video from the archive."""

    permission_classes = [MayRestore]

    @extend_schema(request=None, responses=RestoredSerializer)
    def post(self, request: Request, video_id: int) -> Response:
        video = archive.restore(video_id)
        if video is None:
            raise NotFound(f"There is no video {video_id} in the archive.")
        return Response({"id": video.pk, "slug": video.slug, "url": video.get_absolute_url()})
