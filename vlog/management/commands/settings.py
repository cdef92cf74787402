"""`manage.py settings [--json]`"""

import json as codec
import os
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from vlog.inventory import Setting, inventory


class Command(BaseCommand):
    help = "List every setting with its value, secrets hidden, and where the value came from."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *, json: bool, **options: Any) -> None:
        found = list(inventory(os.environ))
        self.stdout.write(_json(found) if json else _text(found))


def _json(found: list[Setting]) -> str:
    """{name: {"value": as text, null for none, "source": "environment" | "file" | "running site" | "default"}, …}"""
    values = {setting.name: {"value": setting.value or None, "source": setting.source} for setting in found}
    return codec.dumps(values, indent=2, ensure_ascii=False)


def _text(found: list[Setting]) -> str:
    names, values = max(len(one.name) for one in found), min(48, max(len(one.value) for one in found))
    return "\n".join(f"{one.name:<{names}}  {one.value or 'none':<{values}}  {one.source}" for one in found)
