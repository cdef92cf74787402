"""Uploads as JSON; docs/api.md describes it."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.urls import reverse
from rest_framework import serializers

from videos.models import Upload, Video
from videos.uploads import details, transfer


class VideoOfUploadSerializer(serializers.Serializer[Any]):
    """The video that an upload has become."""

    id = serializers.IntegerField()
    title = serializers.CharField()
    url = serializers.CharField(help_text="The address of its page")
    edit_url = serializers.CharField(help_text="The address of its page in the admin")


class UploadSerializer(details.DetailsSerializer):
    """An upload of the account that asks."""

    url = serializers.CharField(help_text="The address for tus, a path on this site")
    filename = serializers.CharField()
    fingerprint = serializers.CharField()
    batch = serializers.CharField()
    size = serializers.IntegerField()
    offset = serializers.IntegerField(help_text="Bytes that have arrived")
    expires_at = serializers.DateTimeField()
    finished = serializers.BooleanField()
    notes = serializers.CharField(help_text="What was left out, a sentence a line")
    video = VideoOfUploadSerializer(allow_null=True)


class UploadsSerializer(serializers.Serializer[Any]):
    """The uploads of the account that asks, the oldest first; finished ones for a week."""

    uploads = UploadSerializer(many=True)


def address_of(upload: Upload) -> str:
    return reverse("upload", args=[upload.key])


def represented(uploads: Iterable[Upload]) -> list[dict[str, Any]]:
    """Return uploads as JSON has them; docs/api.md describes it."""
    rows = list(uploads)
    videos = Video.objects.in_bulk([upload.video_id for upload in rows if upload.finished_at and upload.video_id])
    return [
        {
            "url": address_of(upload),
            "filename": upload.name,
            "fingerprint": upload.fingerprint,
            "batch": upload.batch,
            "size": upload.size,
            "offset": transfer.offset_of(upload),
            "expires_at": upload.expires_at,
            "finished": upload.finished_at is not None,
            "notes": upload.notes,
            **details.of(upload),
            "video": video_shown(videos.get(upload.video_id or 0)),
        }
        for upload in rows
    ]


def video_shown(video: Video | None) -> dict[str, Any] | None:
    """Return the video that an upload or an import became, as the API shows it; None before."""
    if video is None:
        return None
    return {
        "id": video.pk,
        "title": video.title,
        "url": settings.BASE_URL + video.get_absolute_url(),
        "edit_url": settings.BASE_URL + reverse("admin:videos_video_change", args=[video.pk]),
    }
