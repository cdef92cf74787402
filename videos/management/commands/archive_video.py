"""`manage.py archive_video SLUG`: withdraw a video; it can come back."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from videos import archive
from videos.management.archived import WRONG_USE
from videos.models import Video


class Command(BaseCommand):
    help = "Withdraw a video: its addresses stop working, its files are kept until the archive is purged."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="the last part of its address, as in /watch/SLUG/")

    def handle(self, *, slug: str, **options: Any) -> None:
        video = Video.objects.alive().filter(slug=slug).first()
        if video is None or not archive.archive(video.pk, by="manage.py"):
            raise CommandError(f"There is no video {slug!r} outside of the archive.", returncode=WRONG_USE)
        video.refresh_from_db()
        day = archive.purge_on(video)
        self.stdout.write(
            f"«{video}» is in the archive until {day:%-d %B %Y}. Bring it back with: manage.py restore_video {slug}"
        )
