#!/usr/bin/env python
"""Every command of VLog starts here."""

import importlib.util
import os
import sys

if importlib.util.find_spec("django") is None:
    sys.exit("VLog's packages are not installed for this Python: run make setup, then .venv/bin/python manage.py")

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError

from vlog import embedded, environment

WITHOUT_SERVICES = {"check", "collectstatic", "help", "--help", "-h", "version", "--version"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vlog.settings")
    try:
        settings.DEBUG  # noqa: B018 - reads all of them
        if len(sys.argv) > 1 and sys.argv[1] not in WITHOUT_SERVICES:
            embedded.join()
    except (ImproperlyConfigured, environment.SettingError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(2)
    except embedded.ServiceError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(1)
    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None):
            raise  # the database answered, and what it said is for a developer
        sys.exit(f"The database does not answer: {str(error).strip()}\nStart it, or check VLOG_DATABASE_URL.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
