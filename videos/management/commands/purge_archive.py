"""`manage.py purge_archive`: delete permanently the videos whose time in the archive has expired."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.template.defaultfilters import filesizeformat

from videos import archive
from vlog.sentences import counted


class Command(BaseCommand):
    help = "Delete permanently, rows and files, every video that has been archived for VLOG_ARCHIVE_RETENTION_DAYS."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only list what would be deleted")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        videos = list(archive.due().select_related("archive_entry"))
        for video in videos:
            if dry_run or archive.purge(video.pk):
                size = filesizeformat(video.archive_entry.size).replace("\xa0", " ")
                self.stdout.write(f"«{video}», archived on {video.deleted_at:%-d %B %Y}, {size}")
        subject = f"{counted(len(videos), 'video')} archived {settings.ARCHIVE_RETENTION_DAYS} days ago or more"
        self.stdout.write(f"{subject}: {'would be deleted' if dry_run else 'deleted'} permanently.")
