"""The tables of MediaCMS that are read: every column by name. Those of version 8 have them."""

from videos.moving.database import MovingError, OldDatabase, missing

CATEGORIES = ("id", "title", "description", "add_date")
MEDIA = (
    *("id", "title", "description", "add_date", "state", "is_reviewed", "media_type", "friendly_token", "views"),
    *("duration", "featured", "password", "media_file", "uploaded_poster", "poster", "likes", "dislikes"),
)
OF_CATEGORIES = ("id", "media_id", "category_id")
OF_TAGS = ("id", "media_id", "tag_id")
TAGS = ("id", "title")
PLAYLISTS = ("id", "title", "description", "add_date")
ITEMS = ("id", "playlist_id", "media_id", "ordering")
SUBTITLES = ("id", "media_id", "language_id", "subtitle_file")
LANGUAGES = ("id", "code", "title")
CHAPTERS = ("id", "media_id", "data")

TABLES: dict[str, tuple[str, ...]] = {
    "files_category": CATEGORIES,
    "files_media": MEDIA,
    "files_media_category": OF_CATEGORIES,
    "files_media_tags": OF_TAGS,
    "files_tag": TAGS,
    "files_playlist": PLAYLISTS,
    "files_playlistmedia": ITEMS,
    "files_subtitle": SUBTITLES,
    "files_language": LANGUAGES,
    "files_videochapterdata": CHAPTERS,
}
# What has no place here; their rows are counted.
DROPPED = {
    "files_comment": "VLog has no comments",
    "users_user": "invite people in the admin",
    "users_channel": "VLog has no channels",
    "files_encoding": "every video is encoded here",
    "files_rating": "VLog has no ratings",
    "actions_mediaaction": "single views, likes and reports; the number of views is kept",
}
REFERENCES = (
    ("files_media_category", "category_id", "files_category", "it is left out"),
    ("files_media_tags", "tag_id", "files_tag", "it is left out"),
    ("files_playlistmedia", "media_id", "files_media", "it is left out"),
    ("files_subtitle", "media_id", "files_media", "it is left out"),
)


def check(database: OldDatabase) -> None:
    """Raise MovingError where the database is none of MediaCMS, or of an older version."""
    if "files_media" not in database.tables or "users_user" not in database.tables:
        raise MovingError("This is no database of MediaCMS: check the address.")
    absent = missing(database.tables, TABLES)
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        raise MovingError(
            f"The database lacks {', '.join(absent[:3])}{more}. Update MediaCMS to version 8 first (its migrations add "
            "them), then import."
        )
