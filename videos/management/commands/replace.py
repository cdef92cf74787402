"""`manage.py replace SLUG FILE`: make a video of another file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from transcoding.steps.file_versions import VersionError
from videos import uploads
from videos.management.copying import copied
from videos.models import Video
from videos.uploads import UploadError

WRONG_USE = 2


class Command(BaseCommand):
    help = (
        "Replace the file of a video, which keeps its address, its statistics and all that editors wrote. Viewers "
        "watch the present file until the new one is ready; the command does not wait for that. FILE stays in place."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="the last part of the video's address")
        parser.add_argument("path", type=Path, metavar="FILE", help="the new file")

    def handle(self, *, slug: str, path: Path, **options: Any) -> None:
        video = Video.objects.listed().not_archived().at(slug)
        if video is None:
            raise CommandError(f"There is no video {slug!r}.", returncode=WRONG_USE)
        if not path.is_file():
            raise CommandError(f"There is no file {path}.", returncode=WRONG_USE)
        was_ready = video.status == Video.Status.READY
        copy = copied(path)
        try:
            uploads.replace(video.pk, copy, name=path.name)
        except (UploadError, VersionError) as error:
            raise CommandError(str(error), returncode=1) from error
        finally:
            copy.unlink(missing_ok=True)  # accepted and renamed, or refused
        until = " Until it is ready, viewers watch the present file." if was_ready else ""
        self.stdout.write(f"{uploads.clean(path.name)} is being encoded as the new file of «{video}».{until}")
