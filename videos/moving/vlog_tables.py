"""The tables of the original VLog that are read: every column by name.

There are two schemas: that of its first start, and that of its migrations. They have these tables and columns in
common; types, defaults and NOT NULL differ in 63 columns, so NULL is expected everywhere.
"""

from videos.moving.database import MovingError, OldDatabase, missing

CATEGORIES = ("id", "name", "slug", "description", "created_at")
TAGS = ("id", "name", "slug", "created_at")
VIDEOS = (
    *("id", "title", "slug", "description", "category_id", "duration", "source_width", "source_height", "status"),
    *("error_message", "created_at", "published_at", "deleted_at", "thumbnail_source", "is_featured", "featured_at"),
)
VIDEO_TAGS = ("video_id", "tag_id")
CHAPTERS = ("id", "video_id", "title", "description", "start_time", "position")
PLAYLISTS = (
    *("id", "title", "slug", "description", "thumbnail_path", "visibility", "playlist_type", "is_featured"),
    *("created_at", "updated_at", "deleted_at"),
)
PLAYLIST_ITEMS = ("id", "playlist_id", "video_id", "position")
QUALITIES = ("id", "video_id", "quality", "width", "height", "bitrate")
VIEWERS = ("id", "session_id", "first_seen", "last_seen")
SESSIONS = (
    *("id", "video_id", "viewer_id", "session_token", "started_at", "ended_at", "duration_watched", "max_position"),
    *("quality_used", "completed"),
)
JOBS = (
    *("id", "video_id", "worker_id", "current_step", "progress_percent", "started_at", "last_checkpoint"),
    *("completed_at", "attempt_number", "max_attempts", "last_error", "processed_by_worker_id"),
    "processed_by_worker_name",
)
PROGRESS = (
    *("id", "job_id", "quality", "status", "segments_total", "segments_completed", "progress_percent"),
    *("started_at", "completed_at", "error_message"),
)
TRANSCRIPTIONS = (
    *("id", "video_id", "status", "language", "started_at", "completed_at", "duration_seconds", "transcript_text"),
    *("vtt_path", "word_count", "error_message"),
)
WORKERS = ("id", "worker_id", "worker_name", "worker_type", "registered_at", "last_heartbeat", "status")
WORKER_KEYS = (
    *("id", "worker_id", "key_hash", "key_prefix", "created_at", "expires_at", "revoked_at", "last_used_at"),
    "hash_version",
)
FIELD_DEFINITIONS = ("id", "name", "slug", "field_type", "position")
FIELDS = ("video_id", "field_id", "value")
WEBHOOKS = ("id", "name", "url", "events", "active", "headers", "created_at")
SETTINGS = ("id", "key", "value")

TABLES: dict[str, tuple[str, ...]] = {
    "categories": CATEGORIES,
    "tags": TAGS,
    "videos": (*VIDEOS, "thumbnail_timestamp", "streaming_format", "primary_codec", "sprite_sheet_status"),
    "video_tags": VIDEO_TAGS,
    "chapters": CHAPTERS,
    "playlists": PLAYLISTS,
    "playlist_items": PLAYLIST_ITEMS,
    "video_qualities": QUALITIES,
    "viewers": VIEWERS,
    "playback_sessions": SESSIONS,
    "transcoding_jobs": (*JOBS, "claimed_at", "claim_expires_at", "retranscode_metadata"),
    "quality_progress": PROGRESS,
    "transcriptions": TRANSCRIPTIONS,
    "workers": (*WORKERS, "current_job_id", "capabilities", "metadata"),
    "worker_api_keys": WORKER_KEYS,
    "custom_field_definitions": FIELD_DEFINITIONS,
    "video_custom_fields": FIELDS,
    "webhooks": (*WEBHOOKS, "secret"),
    "settings": SETTINGS,
}
# Their rows end with the old installation.
DROPPED = {
    "admin_sessions": "people log in again",
    "reencode_queue": "every video is encoded anew here",
    "sprite_queue": "storyboards are made with each video",
    "webhook_deliveries": "deliveries of the past",
    "deployment_events": "events of the old workers",
}
# Of the migrations alone.
MIGRATED = {"video_qualities": ("codec", "segment_format")}
# Columns whose rows must exist; a row that refers to nothing loses this.
REFERENCES = (
    ("videos", "category_id", "categories", "its category"),
    ("video_tags", "video_id", "videos", "it is left out"),
    ("video_tags", "tag_id", "tags", "it is left out"),
    ("chapters", "video_id", "videos", "it is left out"),
    ("playlist_items", "playlist_id", "playlists", "it is left out"),
    ("playlist_items", "video_id", "videos", "it is left out"),
    ("playback_sessions", "video_id", "videos", "it is left out"),
    ("playback_sessions", "viewer_id", "viewers", "its viewer"),
    ("transcoding_jobs", "video_id", "videos", "it is left out"),
    ("transcriptions", "video_id", "videos", "it is left out"),
    ("worker_api_keys", "worker_id", "workers", "it is left out"),
)


def check(database: OldDatabase) -> str:
    """Return which schema the database has. Raises MovingError where it is not the original VLog's, or half of it."""
    tables = database.tables
    if "videos" not in tables or "playback_sessions" not in tables or "django_migrations" in tables:
        what = "It is a database of Django" if "django_migrations" in tables else "It has no videos"
        raise MovingError(f"This is no database of the original VLog. {what}: check the address.")
    absent = missing(tables, TABLES)
    is_migrated = "alembic_version" in tables
    if is_migrated:
        absent += missing(tables, MIGRATED)
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        raise MovingError(
            f"The database lacks {', '.join(absent[:3])}{more}: not all migrations of the original VLog have been "
            "applied. Start its last version once (or run alembic upgrade head), then import."
        )
    return "migrations" if is_migrated else "first start"
