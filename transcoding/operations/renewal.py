"""Videos from other installations are encoded anew: one after the other, while no other video waits.

Viewers watch the imported package until the new one has passed the gate and takes over (steps/file_versions.py).
"""

import logging

from django.db import transaction

from transcoding.models import TranscodingJob
from transcoding.operations import control
from transcoding.operations.control import Refused
from videos.models import ImportedPackage
from videos.storage.paths import source_path
from workers.models import Worker

log = logging.getLogger(__name__)


def renew() -> int:
    """Have imported packages made anew: as many as there are workers; none while a video waits. Returns how many."""
    if TranscodingJob.objects.unfinished().exists():
        return 0
    wanted = max(1, Worker.objects.available().count())
    rows = ImportedPackage.objects.waiting().select_related("video__job")[:wanted]
    return sum(map(_ask, list(rows)))


def _ask(row: ImportedPackage) -> bool:
    """Ask for one video; False where that is not possible, which is not retried."""
    with transaction.atomic():
        row.ask()
        try:
            if not source_path(row.video).is_file():
                raise Refused("its original is missing")
            with transaction.atomic():
                control.re_encode(row.video.job)
        except Refused as refusal:
            log.warning("«%s» keeps its imported package: %s", row.video, refusal)
            return False
    return True
