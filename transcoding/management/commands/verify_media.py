"""`manage.py verify_media [SLUG …]`: check published files against the rules of HLS and against the database."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import pluralize

from transcoding.operations import package_check
from transcoding.operations.package_check import Finding
from videos.models import VideoQuerySet

WRONG_USE = 2
SHOWN = 3  # problems on the line of a video; --json lists all


class Command(BaseCommand):
    help = (
        "Check the files of ready videos against the rules of HLS and against the database. Nothing is changed. "
        "Exit code 0: no problems, 1: there are problems, 2: wrong use."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "slugs", nargs="*", metavar="SLUG", help="the last part of the address of a video (default: all videos)"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *, slugs: list[str], **options: Any) -> None:
        videos, findings = self._videos(slugs), []
        for finding in package_check.audit(videos):
            findings.append(finding)
            if not options["json"]:
                self.stdout.write(_line(finding))
        orphans = [] if slugs else package_check.orphans()
        if options["json"]:
            found = [_as_json(finding) for finding in findings]
            self.stdout.write(json.dumps({"videos": found, "strays": orphans}, ensure_ascii=False, indent=2))
        else:
            self.stdout.write("\n".join(orphans), ending="\n" if orphans else "")
        self._end(findings, orphans)

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

    def _end(self, findings: list[Finding], orphans: list[str]) -> None:
        wrong = sum(bool(finding.problems) for finding in findings)
        parts = [f"problems in {wrong} of {len(findings)} video{pluralize(len(findings))}"] if wrong else []
        parts += [f"{len(orphans)} folder{pluralize(len(orphans))} without a video"] if orphans else []
        if parts:
            raise CommandError(f"Found {' and '.join(parts)}.", returncode=1)
        self.stderr.write(f"{len(findings)} video{pluralize(len(findings))} checked, no problems found.")


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
