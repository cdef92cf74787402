"""The states of jobs, qualities, chunks and attempts."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import apnumber
from django.db import models
from django.utils import timezone

from videos.models import Video


class PipelineStep(models.TextChoices):
    ARRIVAL = "arrival"
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
    SKIPPED = "skipped", "Skipped (source is smaller)"


class ChunkKind(models.TextChoices):
    VIDEO = "video"
    AUDIO = "audio"
    STORYBOARD = "storyboard"
    CAPTIONS = "captions"
    TRANSCRIPTION = "transcription"
    SPEECH = "speech"


# Made of published videos, apart from their jobs.
POST_PUBLISH = (ChunkKind.STORYBOARD, ChunkKind.CAPTIONS, ChunkKind.TRANSCRIPTION, ChunkKind.SPEECH)
TRANSCRIBED = (ChunkKind.TRANSCRIPTION, ChunkKind.SPEECH)  # whole, or a part of a long recording


class ChunkStatus(models.TextChoices):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Outcome(models.TextChoices):
    """How an attempt ended."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    LOST = "lost"
    RELEASED = "given_back", "Released"
    CANCELLED = "cancelled"
    INCOMPATIBLE = "incompatible"


class Priority(models.IntegerChoices):
    DEMANDED = 0, "a viewer waits for it"
    NORMAL = 1
    RETRY = 2, "it has failed before"
    LAST = 3, "everything else comes first"


LEASE_EXPIRED = "the worker stopped reporting"
GIVEN_UP = "It failed"
FAULT_OF_FILE = "so it is the file, not a worker"
UNFINISHED = (Video.Status.PENDING, Video.Status.PROCESSING)


def lease_end(now: datetime | None = None) -> datetime:
    """Return when a lease expires that is claimed or renewed now."""
    return (now or timezone.now()) + timedelta(seconds=settings.LEASE_SECONDS)


def given_up(number: int, error: str, workers: Sequence[str] = ()) -> str:
    """Return why there is no further attempt, for the editor; workers: the names of those on which it failed."""
    if len(workers) > 1:
        where = f"{apnumber(len(workers))} workers ({', '.join(workers)})"
        return f"{GIVEN_UP} on {where}, {FAULT_OF_FILE}. The last error: {error}"
    return f"{GIVEN_UP} {number} times and was given up. The last error: {error}"
