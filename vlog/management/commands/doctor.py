"""`manage.py doctor [--fix] [--json]`"""

import json as codec
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from vlog import doctor
from vlog.doctor import Report
from vlog.health import Finding, State


class Command(BaseCommand):
    help = (
        "Check this installation, and say what is wrong and what to do about it. Exit code 0: no finding is red, 1: "
        "some are, 2: wrong usage."
    )
    requires_system_checks = []  # their messages are among the findings

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--fix", action="store_true", help="correct what is safe to correct")
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *, fix: bool, json: bool, **options: Any) -> None:
        report = doctor.examine(fix=fix)
        self.stdout.write(_json(report) if json else _text(report))
        if report.state == State.RED:
            red = [name for name, findings in report.findings.items() if _worst(findings) == State.RED]
            raise CommandError(f"Not everything works: {', '.join(red)}.")


def _json(report: Report) -> str:
    """{"state", "checks": [{"check", "state", "sentence", "advice", "can_be_fixed"}, …], "fixed": [sentences]}"""
    checks = [
        {
            "check": name,
            "state": finding.state.name.lower(),
            "sentence": finding.message,
            "advice": finding.advice,
            "can_be_fixed": finding.fix is not None,
        }
        for name, findings in report.findings.items()
        for finding in findings
    ]
    whole = {"state": report.state.name.lower(), "checks": checks, "fixed": report.fixed}
    return codec.dumps(whole, indent=2, ensure_ascii=False)


def _text(report: Report) -> str:
    lines = [
        f"{finding.state.name.lower():<7}{name:<14}{finding.message}.{_advice(finding)}"
        for name, findings in report.findings.items()
        for finding in findings
    ]
    return "\n".join([*lines, *(f"fixed  {sentence}" for sentence in report.fixed)])


def _advice(finding: Finding) -> str:
    fix = " Or run manage.py doctor --fix." if finding.fix else ""
    return f" {finding.advice}{fix}" if finding.advice else fix


def _worst(findings: list[Finding]) -> State:
    return max(finding.state for finding in findings)
