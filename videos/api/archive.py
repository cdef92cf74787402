"""Videos in the archive."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from videos import archive
from videos.models import ArchiveEntry, Video, of_editor
from vlog.models import Scope


class MayRestore(BasePermission):
    """Allows staff with the permission to change archived videos."""

    message = "Your account does not have permission to restore videos."

    def has_permission(self, request: Request, view: Any) -> bool:
        return request.user.is_staff and request.user.has_perm("videos.change_archivedvideo")


class RestoredSerializer(serializers.Serializer[Any]):
    """A video that has been restored."""

    id = serializers.IntegerField()
    slug = serializers.CharField()
    url = serializers.CharField(help_text="A path on this site")


class RestoreView(APIView):
    """Restore a video from the archive. A token needs the scope edit."""

    permission_classes = [MayRestore]
    token_scope = Scope.EDIT

    @extend_schema(request=None, responses=RestoredSerializer)
    def post(self, request: Request, video_id: int) -> Response:
        return restored(request, video_id, str(video_id))


class RestoreBySlugView(APIView):
    """Restore the video that was archived last under a slug. A token needs the scope edit."""

    permission_classes = [MayRestore]
    token_scope = Scope.EDIT

    @extend_schema(request=None, responses=RestoredSerializer, operation_id="v1_videos_restore_by_slug")
    def post(self, request: Request, slug: str) -> Response:
        entry = (
            ArchiveEntry.objects.filter(of_editor(request.user, "video__category"), slug=slug)
            .order_by("-video__deleted_at")
            .first()
        )
        return restored(request, entry.video_id if entry else 0, slug)


def restored(request: Request, video_id: int, name: str) -> Response:
    """Restore a video, and return the answer. Raises NotFound with the name that was asked for."""
    is_theirs = Video.objects.for_editor(request.user).filter(pk=video_id).exists()
    video = archive.restore(video_id) if is_theirs else None
    if video is None:
        raise NotFound(f"There is no video {name} in the archive.")
    return Response({"id": video.pk, "slug": video.slug, "url": video.get_absolute_url()})
