"""The making of each video: its job, qualities, chunks and attempts."""

from transcoding.models.attempt import Attempt, AttemptQuerySet
from transcoding.models.chunk import ChunkQuerySet, TranscodingChunk
from transcoding.models.job import JobQuerySet, TranscodingJob
from transcoding.models.moving import ended_job, ended_progress
from transcoding.models.quality import QualityProgress, QualityQuerySet
from transcoding.models.speech import SpeechPart
from transcoding.models.states import (
    LEASE_EXPIRED,
    POST_PUBLISH,
    TRANSCRIBED,
    UNFINISHED,
    ChunkKind,
    ChunkStatus,
    Outcome,
    PipelineStep,
    Priority,
    QualityStatus,
    given_up,
    lease_end,
)

__all__ = [
    "LEASE_EXPIRED",
    "POST_PUBLISH",
    "TRANSCRIBED",
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
    "QualityQuerySet",
    "QualityStatus",
    "SpeechPart",
    "TranscodingChunk",
    "TranscodingJob",
    "ended_job",
    "ended_progress",
    "given_up",
    "lease_end",
]
