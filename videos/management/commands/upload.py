"""`manage.py upload FILE… --to URL`: send files to a site, and continue what was interrupted."""

import getpass
import secrets
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from videos.management import tus_client as client
from videos.models import VISIBILITIES
from videos.uploads import sidecars
from vlog.disk import readable

BAR_WIDTH = 30  # characters
WRONG_USE = 2
DETAILS = ("title", "description", "category", "tags", "visibility", "language", "publish_early", "downloads")


class Command(BaseCommand):
    help = (
        "Send video files to a site, over any line. Run the same command again after an interruption: it continues. "
        "Captions (.srt, .vtt) and pictures (.jpg) with the name of a video belong to it. "
        "Exit code 0: all are there, 1: a file was refused or the line broke, 2: wrong use."
    )
    requires_system_checks: list[str] = []  # the site is elsewhere

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
        parser.add_argument("--to", required=True, metavar="URL", help="the site, such as https://video.example.org")
        parser.add_argument(
            "--token-file", metavar="F", help="a file with an API token of scope upload; - is standard input"
        )
        parser.add_argument("--title", help="of a single video; default: the file's name")
        parser.add_argument("--description")
        parser.add_argument("--category", help="an existing category, by name or slug")
        parser.add_argument("--tags", help="separated by commas; unknown tags are created")
        parser.add_argument("--visibility", choices=VISIBILITIES, help="default: that of the site")
        parser.add_argument("--language", help="of the speech, such as en or pt-BR")
        parser.add_argument("--publish-early", action="store_true", default=None, help="publish as soon as it plays")
        parser.add_argument("--downloads", action="store_true", default=None, help="let viewers download it")

    def handle(self, *, files: list[Path], to: str, token_file: str | None, **options: Any) -> None:
        self._check(files, options["title"])
        details = {name: options[name] for name in DETAILS if options[name] is not None}
        batch = secrets.token_hex(16)
        try:
            site = client.Site(to, _token(token_file))
            for file in sorted(files, key=lambda file: not _is_sidecar(file)):
                self._send(client.FileUpload(site, file, batch, _Progress(self, file)), details)
        except (client.Refused, client.Disconnected) as error:
            raise CommandError(f"{error} Run the command again to continue.", returncode=1) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped. Run the command again to continue.", returncode=1) from None

    def _check(self, files: list[Path], title: str | None) -> None:
        for file in files:
            if not file.is_file():
                raise CommandError(f"There is no file {file}.", returncode=WRONG_USE)
            if not file.stat().st_size:
                raise CommandError(f"{file} is empty (0 bytes).", returncode=WRONG_USE)
        if title is not None and sum(not _is_sidecar(file) for file in files) > 1:
            raise CommandError("--title is for one video; several are named after their files.", returncode=WRONG_USE)

    def _send(self, upload: client.FileUpload, details: dict[str, Any]) -> None:
        found = upload.run({} if _is_sidecar(upload.file) else details)
        if video := found["video"]:
            self.stdout.write(video["url"])
        elif not _is_sidecar(upload.file):
            self.stdout.write(f"The video of {upload.file.name} has been deleted since it was uploaded.")


def _is_sidecar(file: Path) -> bool:
    return file.suffix.lower() in sidecars.SUFFIXES


def _token(file: str | None) -> str:
    """Return the token from a file, from standard input, or from the person who runs the command."""
    try:
        text = getpass.getpass("API token: ") if file is None else sys.stdin.read() if file == "-" else _read(file)
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise CommandError(f"The token cannot be read: {error}.", returncode=WRONG_USE) from error
    if not text.strip().isascii() or len(text.split()) != 1:
        raise CommandError("The file must contain one API token and nothing else.", returncode=WRONG_USE)
    return text.strip()


def _read(file: str) -> str:
    return Path(file).read_text()


class _Progress:
    """A progress bar on a terminal; elsewhere a line for every ten percent and every note."""

    def __init__(self, command: BaseCommand, file: Path) -> None:
        self.out, self.moving = command.stderr, sys.stderr.isatty()
        self.name, self.size, self.shown = file.name, file.stat().st_size, -1

    def __call__(self, sent: int, note: str) -> None:
        percent = 100 * sent // self.size
        step = percent if self.moving else percent // 10 * 10
        if step != self.shown or note:
            self.shown = step
            self.out.write(self._line(percent, sent, note), ending="" if self.moving and percent < 100 else "\n")
            self.out.flush()

    def _line(self, percent: int, sent: int, note: str) -> str:
        if not self.moving:
            return f"{self.name}: {percent:3} %  {note}".rstrip()
        done = BAR_WIDTH * percent // 100
        bar = "█" * done + "░" * (BAR_WIDTH - done)
        return f"\r\033[K{self.name}  {bar} {percent:3} %  {readable(sent)} of {readable(self.size)}  {note}"
