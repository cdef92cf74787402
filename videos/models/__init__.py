"""The models of videos, categories, tags, captions and the archive."""

from videos.models.addresses import SLUG_ATTEMPTS, address_below, address_of, free_slug_in, is_slug_collision
from videos.models.archive import ArchivedVideo, ArchiveEntry
from videos.models.captions import Cue, Transcription, TranscriptionQuerySet, TranscriptionStatus
from videos.models.catalogue import (
    Category,
    Tag,
    Video,
    VideoQuality,
    VideoQuerySet,
    VideoStatus,
    VideoTag,
    free_slug,
    new_media_key,
)
from videos.models.search import SearchDocument
from videos.models.storage import StorageEntry

__all__ = [
    "SLUG_ATTEMPTS",
    "ArchiveEntry",
    "ArchivedVideo",
    "Category",
    "Cue",
    "SearchDocument",
    "StorageEntry",
    "Tag",
    "Transcription",
    "TranscriptionQuerySet",
    "TranscriptionStatus",
    "Video",
    "VideoQuality",
    "VideoQuerySet",
    "VideoStatus",
    "VideoTag",
    "address_below",
    "address_of",
    "free_slug",
    "free_slug_in",
    "is_slug_collision",
    "new_media_key",
]
