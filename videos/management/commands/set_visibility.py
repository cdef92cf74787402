"""`manage.py set_visibility SLUG VALUE`: set who may watch a video, now or at a given time."""

import sys
from argparse import ArgumentParser
from getpass import getpass
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from videos import publication
from videos.models import Video, Visibility
from videos.publication import PublicationError
from vlog import site
from vlog.management.arguments import moment

WRONG_USE = 2


class Command(BaseCommand):
    help = (
        "Set who may watch a video: private (editors, and guests with a link), unlisted (everybody who has the "
        "address), public, or password. A change at once cancels the planned ones."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", metavar="SLUG", help="the last part of the video's address, as in /watch/SLUG/")
        parser.add_argument("visibility", choices=Visibility.values, metavar="VALUE", help=", ".join(Visibility.values))
        when = "such as 2026-12-31 or '2026-12-31 09:00', in the site's time zone unless it has an offset"
        parser.add_argument("--at", type=moment, metavar="WHEN", help=f"change it then instead of now, {when}")
        parser.add_argument("--until", type=moment, metavar="WHEN", help="make it private after that time")
        parser.add_argument(
            "--password-file",
            type=Path,
            metavar="PATH",
            help="a file whose first line is the password, - for standard input; without it the command asks",
        )

    def handle(self, *, slug: str, visibility: str, password_file: Path | None, **options: Any) -> None:
        video = Video.objects.not_archived().listed().at(slug)
        if video is None:
            raise CommandError(f"There is no video {slug!r} outside the archive.", returncode=WRONG_USE)
        if password_file and visibility != Visibility.PASSWORD:
            raise CommandError("--password-file goes with the visibility password only.", returncode=WRONG_USE)
        password = _password(password_file) if visibility == Visibility.PASSWORD else ""
        schedule = {"at": options["at"], "until": options["until"]}
        try:
            with timezone.override(site.current().zone):
                message = publication.set_visibility(video, visibility, password=password, **schedule)
        except PublicationError as error:
            raise CommandError(str(error), returncode=WRONG_USE) from error
        self.stdout.write(message)


def _password(path: Path | None) -> str:
    if path is None and sys.stdin.isatty():
        password = getpass("Password of the video: ")
        if getpass("Repeat the password: ") != password:
            raise CommandError("The two passwords differ. Nothing was changed.", returncode=WRONG_USE)
    else:
        password = _first_line(path)
    if not password:
        raise CommandError("The password is empty. Nothing was changed.", returncode=WRONG_USE)
    return password


def _first_line(path: Path | None) -> str:
    """Return the first line of a file, or of standard input for None and `-`."""
    try:
        if path is None or path == Path("-"):
            return sys.stdin.readline().rstrip("\r\n")
        with path.open(encoding="utf-8") as file:
            return file.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise CommandError(f"{path} cannot be read: {reason}.", returncode=WRONG_USE) from error
