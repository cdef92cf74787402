"""`manage.py verify_media [SLUG …]`: check published files against the rules of HLS and against the database."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from transcoding.engine.package.files import StoreError
from transcoding.operations import package_check
from transcoding.operations.package_check import Finding
from videos import orphans
from videos.models import VideoQuerySet
from vlog.sentences import counted

WRONG_USE = 2
SHOWN = 3  # problems on the line of a video; --json lists all


class Command(BaseCommand):
    help = (
        "Check the files of ready videos against the rules of HLS and against the database. Nothing is changed. "
        "Exit code 0: no problems, with or without warnings, 1: there are problems, or the object store does not "
        "answer, 2: wrong usage."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "slugs", nargs="*", metavar="SLUG", help="the last part of the address of a video (default: all videos)"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *, slugs: list[str], **options: Any) -> None:
        try:
            self._verify(slugs, json_wanted=options["json"])
        except StoreError as error:
            raise CommandError(str(error), returncode=1) from error

    def _verify(self, slugs: list[str], *, json_wanted: bool) -> None:
        videos, findings = self._videos(slugs), []
        for finding in package_check.audit(videos):
            findings.append(finding)
            if not json_wanted:
                self.stdout.write(_line(finding))
        folders = [] if slugs else orphans.find()
        sentences = orphans.sentences(folders)
        if json_wanted:
            found = [_as_json(finding) for finding in findings]
            self.stdout.write(json.dumps({"videos": found, "strays": sentences}, ensure_ascii=False, indent=2))
        else:
            self.stdout.write("\n".join(sentences), ending="\n" if sentences else "")
        self._end(findings, len(folders))

    def _videos(self, slugs: list[str]) -> VideoQuerySet:
        if not slugs:
            return package_check.ready()
        videos = package_check.ready().filter(slug__in=slugs)
        unknown = sorted(set(slugs) - set(videos.values_list("slug", flat=True)))
        if unknown:
            raise CommandError(
                f"There is no ready video with the slug {' or '.join(map(repr, unknown))}. See the list of "
                "videos in the admin.",
                returncode=WRONG_USE,
            )
        return videos

    def _end(self, findings: list[Finding], folders: int) -> None:
        wrong = sum(bool(finding.problems) for finding in findings)
        checked = counted(len(findings), "video")
        parts = [f"problems in {wrong} of {checked}"] if wrong else []
        parts += [f"{counted(folders, 'folder')} that no video accounts for"] if folders else []
        if parts:
            raise CommandError(f"Found {' and '.join(parts)}.", returncode=1)
        self.stderr.write(f"{checked} checked, no problems found.")


def _line(finding: Finding) -> str:
    """Return one line: ok, or the problems and what to do."""
    warnings = "".join(f" (warning: {warning})" for warning in finding.warnings)
    if not finding.problems:
        return f"{finding.video.slug}: ok{warnings}"
    more = len(finding.problems) - SHOWN
    problems = "; ".join([*finding.problems[:SHOWN], *([f"and {more} more"] if more > 0 else [])])
    return f"{finding.video.slug}: {problems}. {finding.advice}{warnings}"


def _as_json(finding: Finding) -> dict[str, Any]:
    return {
        "slug": finding.video.slug,
        "id": finding.video.pk,
        "ok": not finding.problems,
        "problems": finding.problems,
        "warnings": finding.warnings,
        "advice": finding.advice,
    }
