"""`manage.py restore_video SLUG`: restore a video from the archive."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from videos import archive
from videos.management.archived import WRONG_USE, archived_named


class Command(BaseCommand):
    help = "Restore a video from the archive."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="the video's former slug, or its number if several videos had that slug")

    def handle(self, *, slug: str, **options: Any) -> None:
        found = archived_named(slug)
        old = found.archive_entry.slug
        video = archive.restore(found.pk)
        if video is None:
            raise CommandError(f"«{found}» is no longer in the archive.", returncode=WRONG_USE)
        if video.slug != old:
            self.stderr.write(f"Another video now uses /watch/{old}/, so the restored video gets a new address.")
        self.stdout.write(f"Restored «{video}»: {settings.BASE_URL}{video.get_absolute_url()}")
