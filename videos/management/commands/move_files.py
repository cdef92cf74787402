"""`manage.py move_files`: move the files on this machine's disk to the object store."""

from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from transcoding.engine.package import files
from transcoding.engine.package.files import UNFINISHED, StoreError
from videos.storage import paths
from vlog.sentences import counted


class Command(BaseCommand):
    help = (
        "Move all packages, originals and archived files from the data folder to the object store (VLOG_STORAGE_URL). "
        "Stop VLog first. After an interruption or an error, run the command again: it continues where it stopped."
    )

    def handle(self, **options: Any) -> None:
        if not paths.is_elsewhere():
            raise CommandError("Set VLOG_STORAGE_URL first, as described in docs/storage.md.", returncode=2)
        targets = {
            settings.SOURCES_DIR: paths.sources(),
            settings.MEDIA_DIR: paths.packages(),
            settings.ARCHIVE_DIR: paths.archives(),
        }
        for folder, target in targets.items():
            found = [folder / name for name in sorted(files.sizes(folder)) if not name.endswith(UNFINISHED)]
            try:
                for _ in files.over(target, partial(_move, folder, target), found):
                    pass
            except StoreError as error:
                raise CommandError(str(error), returncode=1) from error
            self.stdout.write(f"{folder.name}: {counted(len(found), 'file')} moved.")


def _move(folder: Path, target: Path, path: Path) -> None:
    files.receive(target / path.relative_to(folder), path, lambda percent: None)
