"""The models of videos, categories, tags, playlists, captions, chapters and the archive."""

from videos.models.addresses import AddressedQuerySet, CategorySlug, TagSlug, VideoSlug, address_of
from videos.models.archive import ArchivedVideo, ArchiveEntry
from videos.models.audio_tracks import AudioRole, AudioTrack, AudioTrackQuerySet
from videos.models.caption_versions import (
    CaptionVersion,
    CaptionVersionQuerySet,
    CaptionVersionState,
    TooManyDrafts,
)
from videos.models.captions import Transcription, TranscriptionQuerySet, TranscriptionStatus
from videos.models.catalogue import (
    Video,
    VideoQuality,
    VideoQuerySet,
    VideoStatus,
    folder_number,
    free_slug,
    new_media_key,
)
from videos.models.categories import Category, CategoryQuerySet, Tag, TagQuerySet, VideoTag
from videos.models.chapters import Chapter
from videos.models.desk import MAX_VIEWS, BulkAction, BulkEdit, BulkItem, BulkState, SavedView
from videos.models.featured import FeaturedVideo
from videos.models.file_versions import FileVersion, FileVersionQuerySet, VersionState
from videos.models.imports import Import, ImportKind, ImportQuerySet, ImportState
from videos.models.limits import (
    CategoryLimit,
    CategoryLimitQuerySet,
    WrongCategory,
    categories_for,
    category_for,
    is_limited,
    of_editor,
    through_video,
)
from videos.models.moving import (
    ImportedPackage,
    ImportMap,
    PackageLayout,
    incoming,
    make_failed,
    make_playable,
    transcribed,
)
from videos.models.order import placed
from videos.models.own_pages import MAX_TEXT, OwnPage, footer
from videos.models.pictures import Picture, picture_url
from videos.models.playlists import (
    MAX_ITEMS,
    Playlist,
    PlaylistFull,
    PlaylistItem,
    PlaylistQuerySet,
    PlaylistSlug,
    PlaylistVisibility,
    lock_videos,
)
from videos.models.publication import EditorDefaults, ShareLink, VisibilityChange
from videos.models.search import Matches, SearchDocument, Words, matching, parse
from videos.models.source_files import SourceFile, SourceFileQuerySet
from videos.models.sources import SourceStream, StreamFate
from videos.models.storage import StorageEntry
from videos.models.tracks import (
    CaptionTrack,
    CaptionTrackQuerySet,
    Cue,
    TooManyTracks,
    TrackKind,
    TrackOrigin,
    TrackState,
)
from videos.models.uploads import VISIBILITIES, Upload, UploadQuerySet
from videos.models.visibility import MEANINGS, OPEN, Visibility, default_visibility, is_public_sql, word_of
from videos.models.webhooks import (
    MAX_WEBHOOKS,
    PING,
    Webhook,
    WebhookDelivery,
    WebhookDeliveryQuerySet,
    WebhookEvent,
    new_webhook_secret,
)

__all__ = [
    "MAX_ITEMS",
    "MAX_TEXT",
    "MAX_VIEWS",
    "MAX_WEBHOOKS",
    "MEANINGS",
    "OPEN",
    "PING",
    "VISIBILITIES",
    "AddressedQuerySet",
    "ArchiveEntry",
    "ArchivedVideo",
    "AudioRole",
    "AudioTrack",
    "AudioTrackQuerySet",
    "BulkAction",
    "BulkEdit",
    "BulkItem",
    "BulkState",
    "CaptionTrack",
    "CaptionTrackQuerySet",
    "CaptionVersion",
    "CaptionVersionQuerySet",
    "CaptionVersionState",
    "Category",
    "CategoryLimit",
    "CategoryLimitQuerySet",
    "CategoryQuerySet",
    "CategorySlug",
    "Chapter",
    "Cue",
    "EditorDefaults",
    "FeaturedVideo",
    "FileVersion",
    "FileVersionQuerySet",
    "Import",
    "ImportKind",
    "ImportMap",
    "ImportQuerySet",
    "ImportState",
    "ImportedPackage",
    "Matches",
    "OwnPage",
    "PackageLayout",
    "Picture",
    "Playlist",
    "PlaylistFull",
    "PlaylistItem",
    "PlaylistQuerySet",
    "PlaylistSlug",
    "PlaylistVisibility",
    "SavedView",
    "SearchDocument",
    "ShareLink",
    "SourceFile",
    "SourceFileQuerySet",
    "SourceStream",
    "StorageEntry",
    "StreamFate",
    "Tag",
    "TagQuerySet",
    "TagSlug",
    "TooManyDrafts",
    "TooManyTracks",
    "TrackKind",
    "TrackOrigin",
    "TrackState",
    "Transcription",
    "TranscriptionQuerySet",
    "TranscriptionStatus",
    "Upload",
    "UploadQuerySet",
    "VersionState",
    "Video",
    "VideoQuality",
    "VideoQuerySet",
    "VideoSlug",
    "VideoStatus",
    "VideoTag",
    "Visibility",
    "VisibilityChange",
    "Webhook",
    "WebhookDelivery",
    "WebhookDeliveryQuerySet",
    "WebhookEvent",
    "Words",
    "WrongCategory",
    "address_of",
    "categories_for",
    "category_for",
    "default_visibility",
    "folder_number",
    "footer",
    "free_slug",
    "incoming",
    "is_limited",
    "is_public_sql",
    "lock_videos",
    "make_failed",
    "make_playable",
    "matching",
    "new_media_key",
    "new_webhook_secret",
    "of_editor",
    "parse",
    "picture_url",
    "placed",
    "through_video",
    "transcribed",
    "word_of",
]
