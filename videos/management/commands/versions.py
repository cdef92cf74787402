"""`manage.py versions SLUG`: list the versions of a video's file, or go back to one."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from transcoding.steps import file_versions
from transcoding.steps.file_versions import VersionError
from videos.models import FileVersion, Video
from vlog.disk import readable

WRONG_USE = 2


class Command(BaseCommand):
    help = "List the versions of a video's file, or go back to one that was replaced."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="the last part of the video's address")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--restore", type=int, metavar="N", help="go back to this version, at once")
        what.add_argument("--json", action="store_true", help="print JSON: sizes in bytes")

    def handle(self, *, slug: str, **options: Any) -> None:
        video = Video.objects.listed().at(slug)
        if video is None:
            raise CommandError(f"There is no video {slug!r}.", returncode=WRONG_USE)
        rows = list(video.file_versions.select_related("holder"))
        if options["restore"] is not None:
            self._restore(video, rows, options["restore"])
        elif options["json"]:
            self.stdout.write(json.dumps([facts(row) for row in rows], indent=2, ensure_ascii=False, default=str))
        else:
            self.stdout.write("\n".join(map(line, rows)) or f"The file of «{video}» has not been replaced.")

    def _restore(self, video: Video, rows: list[FileVersion], number: int) -> None:
        version = next((row for row in rows if row.number == number), None)
        if version is None:
            known = ", ".join(str(row.number) for row in rows) or "it has one only"
            raise CommandError(f"«{video}» has no version {number} ({known}).", returncode=WRONG_USE)
        try:
            file_versions.restore(version)
        except VersionError as error:
            raise CommandError(str(error), returncode=1) from error
        self.stdout.write(f"Viewers of «{video}» watch version {number} now.")


def facts(version: FileVersion) -> dict[str, Any]:
    failed = version.holder is not None and version.holder.status == Video.Status.FAILED
    return {
        "version": version.number,
        "state": "failed" if failed and version.state == version.State.MAKING else version.state,
        "file": version.source_name,
        "size": version.size,
        "added": version.created_at,
        "by": version.created_by,
        "kept_until": version.kept_until,
        "error": version.holder.error_message if failed and version.holder else None,
    }


def line(version: FileVersion) -> str:
    values = facts(version)
    size = "" if version.size is None else f", {readable(version.size)}"
    by = f" by {version.created_by}" if version.created_by else ""
    until = f"; kept until {timezone.localtime(version.kept_until):%Y-%m-%d}" if version.kept_until else ""
    error = f": {values['error']}" if values["error"] else ""
    added = f"{timezone.localtime(version.created_at):%Y-%m-%d %H:%M}"
    return f"{version.number:>3}  {values['state']:<9} {added}{by}  {version.source_name}{size}{until}{error}"
