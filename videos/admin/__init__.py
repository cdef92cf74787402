"""The admin of videos, categories, tags, storage and the archive."""

from videos.admin.archive import ArchivedVideoAdmin
from videos.admin.catalogue import CategoryAdmin, TagAdmin
from videos.admin.storage import StorageAdmin
from videos.admin.videos import VideoAdmin

__all__ = ["ArchivedVideoAdmin", "CategoryAdmin", "StorageAdmin", "TagAdmin", "VideoAdmin"]
