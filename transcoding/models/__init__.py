"""How far the making of each video has come."""

from transcoding.models.attempt import Attempt, AttemptQuerySet, Outcome
from transcoding.models.chunk import ChunkQuerySet, TranscodingChunk
from transcoding.models.job import JobQuerySet, TranscodingJob
from transcoding.models.quality import QualityProgress
from transcoding.models.states import (
    CANCELLED,
    POST_PUBLISH,
    SILENT,
    UNFINISHED,
    ChunkKind,
    ChunkStatus,
    PipelineStep,
    Priority,
    QualityStatus,
    given_up,
    lease_end,
)

__all__ = [
    "CANCELLED",
    "POST_PUBLISH",
    "SILENT",
    "UNFINISHED",
    "Attempt",
    "AttemptQuerySet",
    "ChunkKind",
    "ChunkQuerySet",
    "ChunkStatus",
    "JobQuerySet",
    "Outcome",
    "PipelineStep",
    "Priority",
    "QualityProgress",
    "QualityStatus",
    "TranscodingChunk",
    "TranscodingJob",
    "given_up",
    "lease_end",
]
