"""The admin of videos, categories, tags, playlists, storage, the archive and webhooks."""

from videos.admin.archive import ArchivedVideoAdmin
from videos.admin.captions_list import CaptionTrackAdmin
from videos.admin.catalogue import CategoryAdmin, TagAdmin
from videos.admin.playlists import PlaylistAdmin
from videos.admin.storage import StorageAdmin
from videos.admin.videos import VideoAdmin
from videos.admin.webhooks import WebhookAdmin, WebhookDeliveryAdmin

__all__ = [
    "ArchivedVideoAdmin",
    "CaptionTrackAdmin",
    "CategoryAdmin",
    "PlaylistAdmin",
    "StorageAdmin",
    "TagAdmin",
    "VideoAdmin",
    "WebhookAdmin",
    "WebhookDeliveryAdmin",
]
