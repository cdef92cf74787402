"""The version of a video, a category or a tag: an edit says which one it was made from, and is refused for another.

Triggers count, because they cannot be forgotten: not by SQL that is typed by hand, by `QuerySet.update`, by a rule of a
foreign key or by a node of an earlier release. What VLog itself writes while it makes a video is not counted.
"""

from django.db import migrations, models

# What editors change, in the row itself. A writer of a whole row that was read before must not set the version back;
# the tables of a video's tags, chapters, tracks and schedule count by writing a greater one.
COLUMNS = {
    "videos": "title, slug, description, category_id, visibility, password, publish_early, downloads",
    "categories": "name, slug, description",
    "tags": "name, slug",
}


def listed(columns: str, row: str) -> str:
    return ", ".join(f"{row}.{column}" for column in columns.split(", "))


FUNCTIONS = """
CREATE FUNCTION count_version() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + TG_ARGV[0]::INTEGER;
    RETURN NEW;
END $$;
CREATE FUNCTION count_version_of_video() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE videos SET version = version + 1 WHERE id = CASE WHEN TG_OP = 'DELETE' THEN OLD.video_id ELSE NEW.video_id END;
    RETURN NULL;
END $$;
"""
NO_FUNCTIONS = """
DROP FUNCTION count_version_of_video();
DROP FUNCTION count_version();
"""

ROW_TRIGGERS = "".join(
    f"""
CREATE TRIGGER tr_{table}_version BEFORE UPDATE OF version, {columns} ON {table} FOR EACH ROW
    WHEN (NEW.version > OLD.version OR ROW({listed(columns, "NEW")}) IS DISTINCT FROM ROW({listed(columns, "OLD")}))
    EXECUTE FUNCTION count_version('1');
CREATE TRIGGER tr_{table}_version_kept BEFORE UPDATE OF version ON {table} FOR EACH ROW
    WHEN (NEW.version BETWEEN 1 AND OLD.version - 1) EXECUTE FUNCTION count_version('0');
"""
    for table, columns in COLUMNS.items()
)
NO_ROW_TRIGGERS = "".join(
    f"DROP TRIGGER tr_{table}_version_kept ON {table};\nDROP TRIGGER tr_{table}_version ON {table};\n"
    for table in COLUMNS
)

TRIGGERS_OF_VIDEOS = """
CREATE TRIGGER tr_video_tags_version AFTER INSERT OR UPDATE OR DELETE ON video_tags
    FOR EACH ROW EXECUTE FUNCTION count_version_of_video();
CREATE TRIGGER tr_visibility_changes_version AFTER INSERT OR UPDATE OR DELETE ON visibility_changes
    FOR EACH ROW EXECUTE FUNCTION count_version_of_video();
CREATE TRIGGER tr_chapters_version AFTER INSERT OR UPDATE OR DELETE ON chapters
    FOR EACH ROW EXECUTE FUNCTION count_version_of_video();
-- The tracks themselves come with the file.
CREATE TRIGGER tr_audio_tracks_version AFTER UPDATE ON audio_tracks FOR EACH ROW
    WHEN (ROW(NEW.language, NEW.name, NEW.role, NEW.is_default, NEW.hidden, NEW.position)
        IS DISTINCT FROM ROW(OLD.language, OLD.name, OLD.role, OLD.is_default, OLD.hidden, OLD.position))
    EXECUTE FUNCTION count_version_of_video();
"""
NO_TRIGGERS_OF_VIDEOS = """
DROP TRIGGER tr_audio_tracks_version ON audio_tracks;
DROP TRIGGER tr_chapters_version ON chapters;
DROP TRIGGER tr_visibility_changes_version ON visibility_changes;
DROP TRIGGER tr_video_tags_version ON video_tags;
"""


def version() -> models.IntegerField:
    return models.IntegerField(db_default=1, default=1, editable=False, help_text="Counts its edits")


def from_one(table: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=models.Q(("version__gte", 1)), name=f"ck_{table}_version")


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0019_downloads"),
    ]

    operations = [
        migrations.AddField(model_name="category", name="version", field=version()),
        migrations.AddField(model_name="tag", name="version", field=version()),
        migrations.AddField(model_name="video", name="version", field=version()),
        migrations.AddConstraint(model_name="category", constraint=from_one("categories")),
        migrations.AddConstraint(model_name="tag", constraint=from_one("tags")),
        migrations.AddConstraint(model_name="video", constraint=from_one("videos")),
        migrations.RunSQL(FUNCTIONS, NO_FUNCTIONS),
        migrations.RunSQL(ROW_TRIGGERS, NO_ROW_TRIGGERS),
        migrations.RunSQL(TRIGGERS_OF_VIDEOS, NO_TRIGGERS_OF_VIDEOS),
    ]
