"""The disk of the data folder: how much of it is free, and the mark below which nothing large is written any more."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.template.defaultfilters import filesizeformat


@dataclass(frozen=True)
class Disk:
    """The file system of a folder, in bytes. free is what may still be written; mark is what of that stays free."""

    folder: Path
    total: int
    free: int
    mark: int

    @property
    def is_low(self) -> bool:
        return self.free < self.mark

    @property
    def available(self) -> int:
        """What may be written before the mark is reached."""
        return max(0, self.free - self.mark)

    @property
    def warning(self) -> str:
        """What those who look after VLog should know; empty where there is room."""
        if not self.is_low:
            return ""
        return (
            f"The disk of {self.folder}: {readable(self.free)} free, below the mark of {readable(self.mark)}: uploads, "
            "encoding and captions pause. Free some room, or lower VLOG_DISK_RESERVE; then all goes on by itself."
        )


def usage() -> Disk:
    usage = shutil.disk_usage(settings.DATA_DIR)
    return Disk(settings.DATA_DIR, usage.total, usage.free, settings.DISK_RESERVE.of(usage.total))


def readable(size: float) -> str:
    """Bytes as people read them: `1.2 GB`."""
    return str(filesizeformat(size)).replace("\xa0", " ")
