"""Changes of the rows of which pages are made send the notice `pages`."""

from django.db import migrations

TABLES = (
    *("videos", "video_qualities", "visibility_changes", "categories", "tags", "video_tags"),
    *("playlists", "playlist_items", "featured_videos", "pictures", "own_pages"),
    *("audio_tracks", "caption_tracks", "cues", "chapters"),
)
TRIGGERS = """
CREATE TRIGGER tr_{0}_pages AFTER INSERT OR UPDATE OR DELETE ON {0}
    FOR EACH ROW EXECUTE FUNCTION pages_changed();
CREATE TRIGGER tr_{0}_pages_emptied AFTER TRUNCATE ON {0}
    FOR EACH STATEMENT EXECUTE FUNCTION pages_changed();
"""
NO_TRIGGERS = """
DROP TRIGGER tr_{0}_pages ON {0};
DROP TRIGGER tr_{0}_pages_emptied ON {0};
"""


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0039_imports"),
        ("vlog", "0006_notices_of_pages"),
    ]

    operations = [migrations.RunSQL(TRIGGERS.format(table), NO_TRIGGERS.format(table)) for table in TABLES]
