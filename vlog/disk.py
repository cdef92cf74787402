"""The disk of the data folder: its free space, and the reserve that VLog leaves free."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.template.defaultfilters import filesizeformat


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
        return (
            f"The disk of {self.folder} has {readable(self.free)} free, less than the reserve of "
            f"{readable(self.reserve)}: uploads, encoding and captions are paused. Free some space or lower "
            "VLOG_DISK_RESERVE, and they resume automatically."
        )


def usage() -> Disk:
    usage = shutil.disk_usage(settings.DATA_DIR)
    return Disk(settings.DATA_DIR, usage.total, usage.free, settings.DISK_RESERVE.of(usage.total))


def readable(size: float) -> str:
    """Return a number of bytes for display, such as `1.2 GB`."""
    return str(filesizeformat(size)).replace("\xa0", " ")
