"""What `manage.py check` says about this installation; every command asks first."""

import os
import shutil
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error


def check_data_folder(**options: Any) -> list[CheckMessage]:
    folders = [settings.DATA_DIR, settings.UPLOADS_DIR, settings.SOURCES_DIR, settings.MEDIA_DIR, settings.ARCHIVE_DIR]
    closed = [folder for folder in folders if not os.access(folder, os.W_OK | os.X_OK)]
    hint = "Give it to the user that runs VLog, or choose another VLOG_DATA_DIR."
    return [Error(f"VLog may not write into {folder}.", hint=hint, id="vlog.E001") for folder in closed]


def check_rename(**options: Any) -> list[CheckMessage]:
    """What has arrived or is made appears by a rename, which works only inside one file system."""
    folders = [settings.UPLOADS_DIR, settings.SOURCES_DIR]
    if len({folder.stat().st_dev for folder in folders}) == 1:
        return []
    hint = "Mount a disk at VLOG_DATA_DIR, not at one of the folders in it."
    return [Error(f"{folders[0]} and {folders[1]} lie on different file systems.", hint=hint, id="vlog.E002")]


def check_ffmpeg(**options: Any) -> list[CheckMessage]:
    program = os.environ.get("VLOG_FFMPEG")
    if not program or shutil.which(program):
        return []
    hint = "Leave it out to use the ffmpeg that came with VLog's packages."
    return [Error(f"VLOG_FFMPEG names no program: {program}.", hint=hint, id="vlog.E003")]
