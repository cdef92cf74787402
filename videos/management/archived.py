"""What the commands of the archive share."""

from django.core.management.base import CommandError

from videos.models import ArchiveEntry, Video

WRONG_USE = 2


def archived_named(name: str) -> Video:
    """The archived video with this slug (its own, of before) or number. Raises CommandError."""
    entries = ArchiveEntry.objects.filter(slug=name)
    if name.isdecimal() and not entries:
        entries = ArchiveEntry.objects.filter(video_id=int(name[:9]))
    found = list(entries.select_related("video").order_by("-video__deleted_at"))
    if not found:
        raise CommandError(
            f"No video {name!r} is in the archive. The admin's list of archived videos shows what is.",
            returncode=WRONG_USE,
        )
    if len(found) > 1:
        numbers = ", ".join(f"{entry.video_id} of {entry.video.deleted_at:%-d %b %Y %H:%M}" for entry in found)
        raise CommandError(
            f"{len(found)} archived videos were called {name!r}: name one by its number ({numbers}).",
            returncode=WRONG_USE,
        )
    return found[0].video
