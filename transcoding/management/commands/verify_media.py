"""`manage.py verify_media [SLUG …]`: hold what viewers get against the rules, and files against rows."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import pluralize

from transcoding.operations import package_check
from transcoding.operations.package_check import Finding
from videos.models import VideoQuerySet

WRONG_USE = 2
SHOWN = 3  # problems of a video on its line; --json has all


class Command(BaseCommand):
    help = (
        "Check the files of ready videos against the rules of HLS and against the database. Nothing is changed. "
        "Exit code 0: all is well, 1: something is wrong, 2: wrong use."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slugs", nargs="*", metavar="SLUG", help="the last part of an address; default: all videos")
        parser.add_argument("--json", action="store_true", help="everything as one JSON object")

    def handle(self, *, slugs: list[str], **options: Any) -> None:
        videos, findings = self._videos(slugs), []
        for finding in package_check.audit(videos):
            findings.append(finding)
            if not options["json"]:
                self.stdout.write(_line(finding))
        strays = [] if slugs else package_check.orphans()
        if options["json"]:
            found = [_plain(finding) for finding in findings]
            self.stdout.write(json.dumps({"videos": found, "strays": strays}, ensure_ascii=False, indent=2))
        else:
            self.stdout.write("\n".join(strays), ending="\n" if strays else "")
        self._end(findings, strays)

    def _videos(self, slugs: list[str]) -> VideoQuerySet:
        if not slugs:
            return package_check.ready()
        videos = package_check.ready().filter(slug__in=slugs)
        unknown = sorted(set(slugs) - set(videos.values_list("slug", flat=True)))
        if unknown:
            raise CommandError(
                f"No ready video has the address {', '.join(map(repr, unknown))}. The admin's list of videos shows "
                "which there are, and which are not ready.",
                returncode=WRONG_USE,
            )
        return videos

    def _end(self, findings: list[Finding], strays: list[str]) -> None:
        wrong = sum(bool(finding.problems) for finding in findings)
        parts = [f"{wrong} of {len(findings)} video{pluralize(len(findings))}"] if wrong else []
        parts += [f"{len(strays)} folder{pluralize(len(strays))} without a video"] if strays else []
        if parts:
            raise CommandError(f"Something is wrong with {' and '.join(parts)}.", returncode=1)
        self.stderr.write(f"{len(findings)} video{pluralize(len(findings))}: all is well.")


def _line(finding: Finding) -> str:
    """One line: ok, or what is wrong and what to do."""
    warnings = "".join(f" (warning: {warning})" for warning in finding.warnings)
    if not finding.problems:
        return f"{finding.video.slug}: ok{warnings}"
    more = len(finding.problems) - SHOWN
    what = "; ".join([*finding.problems[:SHOWN], *([f"and {more} more"] if more > 0 else [])])
    return f"{finding.video.slug}: {what}. {finding.advice}{warnings}"


def _plain(finding: Finding) -> dict[str, Any]:
    return {
        "slug": finding.video.slug,
        "id": finding.video.pk,
        "ok": not finding.problems,
        "problems": finding.problems,
        "warnings": finding.warnings,
        "advice": finding.advice,
    }
