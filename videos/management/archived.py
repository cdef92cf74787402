"""Look-up of archived videos, for the commands of the archive."""

from django.core.management.base import CommandError

from videos.models import ArchiveEntry, Video
from vlog.row_ids import row_id

WRONG_USE = 2


def archived_named(name: str) -> Video:
    """Return the archived video with this id or with the slug that it had before. Raises CommandError."""
    entries = ArchiveEntry.objects.filter(slug=name)
    if (pk := row_id(name)) is not None and not entries:
        entries = ArchiveEntry.objects.filter(video_id=pk)
    found = list(entries.select_related("video").order_by("-video__deleted_at"))
    if not found:
        raise CommandError(
            f"There is no video {name!r} in the archive. The admin lists the archived videos.",
            returncode=WRONG_USE,
        )
    if len(found) > 1:
        numbers = ", ".join(f"{entry.video_id} of {entry.video.deleted_at:%-d %b %Y %H:%M}" for entry in found)
        raise CommandError(
            f"{len(found)} archived videos had the slug {name!r}. Give the number of one instead ({numbers}).",
            returncode=WRONG_USE,
        )
    return found[0].video
