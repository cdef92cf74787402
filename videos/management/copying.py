"""Copies of files that commands are given, in the uploads folder."""

import os
import shutil
import tempfile
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError

from transcoding.queue import disk_quota
from videos.imports.originals import deleted_after_error

BLOCK = 1 << 20  # bytes that are copied at a time


def copied(file: Path) -> Path:
    """Copy a file into the uploads folder, on the disk of the sources, so that accepting it is a rename.

    Its bytes are reserved before. Raises CommandError.
    """
    settings.UPLOADS_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor, name = tempfile.mkstemp(prefix="import-", dir=settings.UPLOADS_DIR)
        with os.fdopen(descriptor, "wb") as copy, deleted_after_error(Path(name)), file.open("rb") as original:
            disk_quota.allocate(copy.fileno(), os.fstat(original.fileno()).st_size)
            shutil.copyfileobj(original, copy, BLOCK)
    except disk_quota.InsufficientSpace as refusal:
        raise CommandError(f"{file}: {refusal}", returncode=1) from refusal
    except OSError as error:
        raise CommandError(f"{file} cannot be copied: {error.strerror}.", returncode=1) from error
    return Path(name)
