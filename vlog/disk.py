"""The disk of the data folder: its free space, the reserve that VLog leaves free, and the allocation of files."""

import ctypes
import errno
import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _

KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE of linux/falloc.h


@dataclass(frozen=True)
class Disk:
    """The file system of a folder, with sizes in bytes. Nothing large is written while `free` is below `reserve`."""

    folder: Path
    total: int
    free: int
    reserve: int

    @property
    def is_low(self) -> bool:
        return self.free < self.reserve

    @property
    def available(self) -> int:
        """The bytes that may be written before the reserve is reached."""
        return max(0, self.free - self.reserve)

    @property
    def warning(self) -> str:
        """A message for operators, empty while there is enough space."""
        if not self.is_low:
            return ""
        return _(
            "The disk of %(folder)s has %(free)s free, less than the reserve of %(reserve)s: uploads, "
            "encoding and captions are paused. Free some space or lower VLOG_DISK_RESERVE, and they "
            "resume automatically."
        ) % {"folder": self.folder, "free": readable(self.free), "reserve": readable(self.reserve)}


def usage() -> Disk:
    usage = shutil.disk_usage(settings.DATA_DIR)
    return Disk(settings.DATA_DIR, usage.total, usage.free, settings.DISK_RESERVE.of(usage.total))


def allocate(descriptor: int, size: int) -> bool:
    """Allocate the first so many bytes of a file, whose own size stays; False where its file system cannot.

    Raises OSError without enough free bytes. The bytes that are not written are free again when the file is truncated
    or deleted. `os.posix_fallocate` would write to each block where the file system cannot allocate.
    """
    while _fallocate()(descriptor, KEEP_SIZE, 0, size):
        if (code := ctypes.get_errno()) in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(code, os.strerror(code))
        if code != errno.EINTR:
            return False
    return True


@cache
def _fallocate() -> Any:
    """Return the function of the C library, which Python has no name for."""
    function = ctypes.CDLL(None, use_errno=True).fallocate
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    return function


def readable(size: float) -> str:
    """Return a number of bytes for display, such as `1.2 GB`."""
    return str(filesizeformat(size)).replace("\xa0", " ")
