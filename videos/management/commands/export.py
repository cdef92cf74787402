"""`manage.py export DIR|s3://… [SLUG …]`: write originals and everything that editors wrote, for any other program."""

from argparse import ArgumentParser, BooleanOptionalAction
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from videos.exports.run import Export
from videos.exports.targets import Bucket, Folder, Target, TargetError
from videos.models import Video, VideoQuerySet

WRONG_USE = 2


class Command(BaseCommand):
    help = (
        "Write the site, or single videos, into a folder or an object store: originals, posters, captions, chapters, "
        "and all fields as JSON with a schema, with categories, tags and playlists. Run it again to bring the export "
        "up to date: what is unchanged is not written. `manage.py import_video DIR` reads it. Exit code 0: all are "
        "exported, 1: some are not, 2: wrong use."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("target", metavar="DIR", help="a folder, or s3://bucket/prefix?endpoint=…&region=…")
        parser.add_argument("slugs", nargs="*", metavar="SLUG", help="only these videos")
        parser.add_argument(
            "--passwords",
            action=BooleanOptionalAction,
            help="with the hashes of passwords and of links for guests; default: of the site yes, of single videos no",
        )

    def handle(self, *, target: str, slugs: list[str], passwords: bool | None, **options: Any) -> None:
        videos, is_whole = self._videos(slugs), not slugs
        how = {"is_whole": is_whole, "passwords": is_whole if passwords is None else passwords}
        try:
            counts = Export(self._target(target), self.stdout.write, self.stderr.write, **how).run(videos)
        except TargetError as error:
            raise CommandError(str(error), returncode=1) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped. Run the command again to continue.", returncode=1) from None
        if counts.failed:
            raise CommandError(str(counts), returncode=1)
        self.stdout.write(str(counts))

    def _target(self, text: str) -> Target:
        if "://" not in text:
            if Path(text).is_file():
                raise CommandError(f"{text} is a file, and must be a folder.", returncode=WRONG_USE)
            return Folder(Path(text))
        if not text.startswith("s3://"):
            raise CommandError(f"{text} is neither a folder nor an address that begins with s3://.", returncode=2)
        return Bucket(text)

    def _videos(self, slugs: list[str]) -> VideoQuerySet:
        videos = Video.objects.listed()
        if not slugs:
            return videos
        found = {slug: videos.not_archived().at(slug) for slug in slugs}
        if missing := [slug for slug, video in found.items() if video is None]:
            raise CommandError(f"There is no video {', '.join(missing)}. Nothing was written.", returncode=WRONG_USE)
        return videos.filter(pk__in=[video.pk for video in found.values() if video])
