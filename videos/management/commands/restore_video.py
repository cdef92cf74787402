"""`manage.py restore_video SLUG`: bring a video back from the archive."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from videos import archive
from videos.management.archived import WRONG_USE, archived_named


class Command(BaseCommand):
    help = "Bring a video back from the archive."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="what its address ended in, or its number where several had the same")

    def handle(self, *, slug: str, **options: Any) -> None:
        found = archived_named(slug)
        old = found.archive_entry.slug
        video = archive.restore(found.pk)
        if video is None:
            raise CommandError(f"«{found}» has just left the archive.", returncode=WRONG_USE)
        if video.slug != old:
            self.stderr.write(f"Its address /watch/{old}/ belongs to another video now, so it gets a new one.")
        self.stdout.write(f"«{video}» is back: {settings.BASE_URL}{video.get_absolute_url()}")
