"""What editors and operators see of the making of videos."""

from transcoding.admin.jobs import JobAdmin
from transcoding.admin.transcriptions import TranscriptionAdmin

__all__ = ["JobAdmin", "TranscriptionAdmin"]
