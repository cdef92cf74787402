#!/usr/bin/env python
"""Every command of VLog starts here."""

import os
import sys

from django.core.management import execute_from_command_line

from vlog import embedded


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vlog.settings")
    embedded.join()
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
