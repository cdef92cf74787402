"""How far the making of each video has come."""

from transcoding.models.attempt import Attempt, AttemptQuerySet, Outcome
from transcoding.models.chunk import ChunkQuerySet, TranscodingChunk
from transcoding.models.job import JobQuerySet, TranscodingJob
from transcoding.models.quality import QualityProgress
from transcoding.models.states import (
    AFTERWARDS,
    CANCELLED,
    SILENT,
    UNFINISHED,
    ChunkKind,
    ChunkStatus,
    Priority,
    QualityStatus,
    Step,
    given_up,
    lease_end,
)

__all__ = [
    "AFTERWARDS",
    "CANCELLED",
    "SILENT",
    "UNFINISHED",
    "Attempt",
    "AttemptQuerySet",
    "ChunkKind",
    "ChunkQuerySet",
    "ChunkStatus",
    "JobQuerySet",
    "Outcome",
    "Priority",
    "QualityProgress",
    "QualityStatus",
    "Step",
    "TranscodingChunk",
    "TranscodingJob",
    "given_up",
    "lease_end",
]
