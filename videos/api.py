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
    message = "Your account may not restore videos."

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.user.is_staff and request.user.has_perm("videos.change_archivedvideo")


class RestoredSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    slug = serializers.CharField()
    url = serializers.CharField(help_text="On this site")


class RestoreView(APIView):
    """Bring a video back from the archive."""

    permission_classes = [MayRestore]

    @extend_schema(request=None, responses=RestoredSerializer)
    def post(self, request: Request, video_id: int) -> Response:
        video = archive.restore(video_id)
        if video is None:
            raise NotFound(f"No video {video_id} is in the archive.")
        return Response({"id": video.pk, "slug": video.slug, "url": video.get_absolute_url()})
