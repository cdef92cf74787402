"""Jobs of videos from another installation, in their end state."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils import timezone

from transcoding.models.job import TranscodingJob
from transcoding.models.quality import QualityProgress
from transcoding.models.states import PipelineStep, QualityStatus
from videos.models import Video

WORKER_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
WAITING = ("uploading", "uploaded", "processing", "in_progress")


def ended_job(video: Video, row: Any, moments: Mapping[str, datetime | None], *, is_done: bool) -> TranscodingJob:
    """Return the job of a video, unsaved: in the state of a row there, or waiting for a worker where it is not done.

    row: of the other installation; None where it has none.
    """
    job = TranscodingJob(video=video)
    if not is_done:
        job.last_error = row.last_error if row else None
        return job
    job.progress_percent, job.completed_at = 100, moments.get("completed_at") or timezone.now()
    if row is not None:
        by = row.processed_by_worker_id or ""
        job.started_at, job.last_checkpoint = moments.get("started_at"), moments.get("last_checkpoint")
        job.current_step = row.current_step if row.current_step in PipelineStep.values else None
        job.attempt_number, job.max_attempts = max(1, row.attempt_number or 1), max(1, row.max_attempts or 3)
        job.processed_by_worker_id = by if WORKER_ID.fullmatch(by) else None
        job.processed_by_worker_name = row.processed_by_worker_name
    return job


def ended_progress(
    job: TranscodingJob, row: Any, started_at: datetime | None, completed_at: datetime | None
) -> QualityProgress:
    """Return the progress of a quality, unsaved, in the state of a row of another installation."""
    known = row.status if row.status in QualityStatus.values and row.status not in WAITING else QualityStatus.PENDING
    return QualityProgress(
        job=job,
        quality=row.quality,
        status=known,
        segments_total=max(0, row.segments_total) if row.segments_total is not None else None,
        segments_completed=max(0, row.segments_completed or 0),
        progress_percent=min(100, max(0, row.progress_percent or 0)),
        started_at=started_at,
        completed_at=completed_at,
        error_message=row.error_message,
    )
