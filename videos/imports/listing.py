"""The imports of an account, for the API and the admin."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import User
from django.urls import reverse

from videos.models import Import, Video
from videos.uploads import details, transfer
from videos.uploads.representation import video_shown

LISTED = 200


def latest(owner: User) -> list[Import]:
    """Return the imports of an account, the latest first."""
    return list(Import.objects.of(owner).select_related("upload")[:LISTED])


def received(row: Import) -> int:
    """Return how many bytes of an import are here."""
    return transfer.offset_of(row.upload) if row.upload else 0


def videos_of(rows: Iterable[Import]) -> dict[int, Video]:
    """Return the videos that imports have become, by their ids."""
    return Video.objects.in_bulk([row.video_id for row in rows if row.video_id])


def represented(rows: Iterable[Import]) -> list[dict[str, Any]]:
    """Return imports as JSON has them; docs/api.md describes it."""
    found = list(rows)
    videos = videos_of(found)
    columns = ("address", "kind", "state", "name", "error", "notes", "created_at")
    empty = {name: False if name in ("publish_early", "downloads") else "" for name in details.FIELDS}
    return [
        {
            "url": reverse("import", args=[row.key]),
            **{name: getattr(row, name) for name in columns},
            "size": row.upload.size if row.upload else None,
            "received": received(row),
            **empty,
            **row.details,
            "video": video_shown(videos.get(row.video_id or 0)),
        }
        for row in found
    ]
