"""The admin pages of jobs and transcriptions."""

from transcoding.admin.jobs import JobAdmin
from transcoding.admin.transcriptions import TranscriptionAdmin

__all__ = ["JobAdmin", "TranscriptionAdmin"]
