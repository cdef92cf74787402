"""The states of jobs, qualities and chunks."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import apnumber
from django.db import models
from django.utils import timezone

from videos.models import Video


class PipelineStep(models.TextChoices):
    PROBE = "probe"
    THUMBNAIL = "thumbnail"
    TRANSCODE = "transcode"
    MASTER_PLAYLIST = "master_playlist"
    FINALIZE = "finalize"


class QualityStatus(models.TextChoices):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"


class ChunkKind(models.TextChoices):
    VIDEO = "video"
    AUDIO = "audio"
    STORYBOARD = "storyboard"
    TRANSCRIPTION = "transcription"


POST_PUBLISH = (ChunkKind.STORYBOARD, ChunkKind.TRANSCRIPTION)  # made of published videos, apart from their jobs


class ChunkStatus(models.TextChoices):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Priority(models.IntegerChoices):
    DEMANDED = 0, "somebody waits for it"
    NORMAL = 1
    RETRY = 2, "it has failed before"
    LAST = 3, "nobody misses it for now"


CANCELLED = "Cancelled by"


SILENT = "the worker that had it went silent"


UNFINISHED = (Video.Status.PENDING, Video.Status.PROCESSING)


def lease_end(now: datetime | None = None) -> datetime:
    """When a lease that is taken or renewed now runs out."""
    return (now or timezone.now()) + timedelta(seconds=settings.LEASE_SECONDS)


def given_up(number: int, error: str, workers: Sequence[str] = ()) -> str:
    """Why there is no further attempt, for the editor; what fails on several workers is to blame itself."""
    if len(workers) > 1:
        where = f"{apnumber(len(workers))} workers ({', '.join(workers)})"
        return f"It failed on {where}, so it is the file, not a worker. The last error: {error}"
    return f"It failed {number} times and was given up. The last error: {error}"
