"""`manage.py move_files`: what lies on this machine's disk goes into the object store."""

from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from transcoding.engine.package import files
from transcoding.engine.package.files import UNFINISHED, StoreError
from videos.storage import paths


class Command(BaseCommand):
    help = (
        "Move all videos, originals and archived ones from the data folder into the object store (VLOG_STORAGE_URL). "
        "Stop VLog before. Killed or failed, it goes on when it is run again."
    )

    def handle(self, **options: Any) -> None:
        if not paths.is_elsewhere():
            raise CommandError("Set VLOG_STORAGE_URL first: docs/storage.md tells how.", returncode=2)
        homes = {
            settings.SOURCES_DIR: paths.sources(),
            settings.MEDIA_DIR: paths.packages(),
            settings.ARCHIVE_DIR: paths.archives(),
        }
        for folder, home in homes.items():
            found = [folder / name for name in sorted(files.sizes(folder)) if not name.endswith(UNFINISHED)]
            try:
                for _ in files.over(home, partial(_send, folder, home), found):
                    pass
            except StoreError as error:
                raise CommandError(str(error), returncode=1) from error
            self.stdout.write(f"{folder.name}: {len(found)} files moved.")


def _send(folder: Path, home: Path, path: Path) -> None:
    files.receive(home / path.relative_to(folder), path, lambda: None)
