"""Change a video's fields: the steps that belong to them, for the forms of the admin and for the API."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction

from transcoding.steps import chapters
from videos import publication, uploads
from videos.models import Video
from videos.storage import placement


def change(
    video: Video,
    columns: dict[str, Any],
    *,
    tags: Iterable[str] | None = None,
    schedule: dict[str, Any] | None = None,
    cancel_planned: bool = False,
) -> None:
    """Change columns, tags and visibility of a video, which is locked.

    schedule: the arguments of `publication.set_visibility`. Raises PublicationError.
    """
    before = video.description
    for name, value in columns.items():
        setattr(video, name, value)
    save(video, columns)
    if tags is not None:
        video.tags.set(uploads.tags_named(tags))
    if "description" in columns and chapters.follow_description(video, before):
        publish_chapters(video)
    if cancel_planned:
        publication.cancel_planned(video)
    if schedule is not None:
        publication.set_visibility(video, **schedule)


def save(video: Video, columns: Iterable[str]) -> None:
    """Save these columns alone: workers write the others, and may have done so since the row was read."""
    video.save(update_fields=list(columns))
    placement.relocate_after_commit(video.pk)  # where viewers may no longer watch it


def publish_chapters(video: Video) -> None:
    # A function with a name, which Django needs to log an error; a partial has none.
    transaction.on_commit(lambda: chapters.publish(video.pk), robust=True)
