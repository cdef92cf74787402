#!/usr/bin/env python
"""Every command of VLog starts here."""

import importlib.util
import os
import sys

if importlib.util.find_spec("django") is None:
    sys.exit("VLog's packages are not installed for this Python: run make setup, then .venv/bin/python manage.py")

from django.conf import settings
from django.core.management import execute_from_command_line

from vlog import embedded, startup

WITHOUT_SERVICES = {"check", "collectstatic", "help", "--help", "-h", "settings", "version", "--version"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vlog.settings")
    with startup.explained():
        settings.DEBUG  # noqa: B018 - reads all of them
        if len(sys.argv) > 1 and sys.argv[1] not in WITHOUT_SERVICES:
            embedded.join()
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
