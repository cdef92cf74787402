"""The system checks of this installation, which Django runs before every command."""

import os
import shutil
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error


def check_data_folder(**options: Any) -> list[CheckMessage]:
    folders = [settings.DATA_DIR, settings.UPLOADS_DIR, settings.SOURCES_DIR, settings.MEDIA_DIR, settings.ARCHIVE_DIR]
    unwritable = [folder for folder in folders if not os.access(folder, os.W_OK | os.X_OK)]
    hint = "Give the folder to the user that runs VLog, or choose another VLOG_DATA_DIR."
    return [Error(f"VLog cannot write to {folder}.", hint=hint, id="vlog.E001") for folder in unwritable]


def check_rename(**options: Any) -> list[CheckMessage]:
    """Check that uploads can be renamed to sources, which works only inside one file system."""
    folders = [settings.UPLOADS_DIR, settings.SOURCES_DIR]
    if len({folder.stat().st_dev for folder in folders}) == 1:
        return []
    hint = "Mount the disk at VLOG_DATA_DIR, not at a folder inside it."
    return [Error(f"{folders[0]} and {folders[1]} are on different file systems.", hint=hint, id="vlog.E002")]


def check_ffmpeg(**options: Any) -> list[CheckMessage]:
    program = os.environ.get("VLOG_FFMPEG")
    if not program or shutil.which(program):
        return []
    hint = "Unset it to use the ffmpeg that is installed with VLog."
    return [Error(f"VLOG_FFMPEG is not a program: {program}.", hint=hint, id="vlog.E003")]
