"""`manage.py archive_video SLUG`: move a video to the archive; it can be restored."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from videos import archive
from videos.management.archived import WRONG_USE
from videos.models import Video


class Command(BaseCommand):
    help = "Move a video to the archive: its addresses stop working, its files are kept until it is purged."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="the last part of the video's address, as in /watch/SLUG/")

    def handle(self, *, slug: str, **options: Any) -> None:
        video = Video.objects.not_archived().listed().at(slug)
        if video is None or not archive.archive(video.pk, by="manage.py"):
            raise CommandError(f"There is no video {slug!r} that could be archived.", returncode=WRONG_USE)
        video.refresh_from_db()
        day = archive.purge_on(video)
        self.stdout.write(
            f"«{video}» is in the archive until {day:%-d %B %Y}. To restore it, run: manage.py restore_video {slug}"
        )
