import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
from django.db import migrations, models

# No accents: NFKD takes letters apart, and the marks go. What does not come apart is translated.
# Nor signs of which PostgreSQL's parser makes tags, paths and hosts: it leaves out what stands in a tag, and would find
# "and/or" or "example.org" only as a whole.
# The length is bounded because a tsvector above 1 MB is an error, and that error would refuse the row.
WORDS = r"""
CREATE FUNCTION search_plain(body TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN left(translate(regexp_replace(normalize(left(body, 50000), NFKD), U&'[\0300-\036F]+', '', 'g'),
                          U&'\00F8\00D8\0142\0141\0111\0110<>/@._\\', 'oOlLdD       '), 50000);
CREATE FUNCTION search_words(body TEXT) RETURNS TSVECTOR LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN to_tsvector('pg_catalog.english'::regconfig, search_plain(body));
CREATE FUNCTION search_part(body TEXT, weight "char") RETURNS TSVECTOR LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN setweight(search_words(body) || to_tsvector('pg_catalog.simple'::regconfig, search_plain(body)), weight);
"""
NO_WORDS = """
DROP FUNCTION search_part(TEXT, "char");
DROP FUNCTION search_words(TEXT);
DROP FUNCTION search_plain(TEXT);
"""

FOREIGN_KEYS = """
ALTER TABLE search_documents ADD CONSTRAINT fk_search_documents_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = "ALTER TABLE search_documents DROP CONSTRAINT fk_search_documents_video_id;"

# Two writers of one video: the second waits for the document's row, and then reads what the first has written, because
# each statement of a function sees what is committed when it begins. A tag that gets a video is locked against a new
# name for the same reason.
TRIGGERS = """
CREATE FUNCTION search_document(video INTEGER, title TEXT, description TEXT) RETURNS TSVECTOR LANGUAGE sql STABLE
    RETURN search_part(title, 'A')
        || COALESCE((SELECT search_part(string_agg(t.name, ' ' ORDER BY t.name), 'B')
                     FROM video_tags vt JOIN tags t ON t.id = vt.tag_id WHERE vt.video_id = video), '')
        || search_part(description, 'C');

CREATE FUNCTION refresh_search_document(video INTEGER) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM search_documents WHERE video_id = video FOR UPDATE;
    INSERT INTO search_documents (video_id, document)
        SELECT id, search_document(id, title, description) FROM videos WHERE id = video
        ON CONFLICT (video_id) DO UPDATE SET document = EXCLUDED.document;
END $$;

CREATE FUNCTION search_video_written() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refresh_search_document(NEW.id);
    RETURN NULL;
END $$;
CREATE FUNCTION search_tag_given() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        PERFORM FROM tags WHERE id = NEW.tag_id FOR SHARE;
        PERFORM refresh_search_document(NEW.video_id);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        PERFORM refresh_search_document(OLD.video_id);
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION search_tag_renamed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    PERFORM refresh_search_document(video_id) FROM
        (SELECT video_id FROM video_tags WHERE tag_id = NEW.id ORDER BY video_id) AS tagged;
    RETURN NULL;
END $$;

CREATE TRIGGER tr_videos_search_inserted AFTER INSERT ON videos
    FOR EACH ROW EXECUTE FUNCTION search_video_written();
CREATE TRIGGER tr_videos_search_updated AFTER UPDATE OF title, description ON videos FOR EACH ROW
    WHEN (OLD.title <> NEW.title OR OLD.description <> NEW.description) EXECUTE FUNCTION search_video_written();
CREATE TRIGGER tr_video_tags_search AFTER INSERT OR UPDATE OR DELETE ON video_tags
    FOR EACH ROW EXECUTE FUNCTION search_tag_given();
CREATE TRIGGER tr_tags_search AFTER UPDATE OF name ON tags FOR EACH ROW
    WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION search_tag_renamed();

INSERT INTO search_documents (video_id, document) SELECT id, search_document(id, title, description) FROM videos;
"""
NO_TRIGGERS = """
DROP TRIGGER tr_tags_search ON tags;
DROP TRIGGER tr_video_tags_search ON video_tags;
DROP TRIGGER tr_videos_search_updated ON videos;
DROP TRIGGER tr_videos_search_inserted ON videos;
DROP FUNCTION search_tag_renamed();
DROP FUNCTION search_tag_given();
DROP FUNCTION search_video_written();
DROP FUNCTION refresh_search_document(INTEGER);
DROP FUNCTION search_document(INTEGER, TEXT, TEXT);
"""


class Migration(migrations.Migration):
    dependencies = [("videos", "0004_roles")]

    operations = [
        migrations.AddIndex(
            model_name="video",
            index=models.Index(
                models.OrderBy(models.F("published_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("deleted_at__isnull", True), ("status", "ready")),
                name="ix_videos_public",
            ),
        ),
        migrations.RunSQL(WORDS, NO_WORDS),
        migrations.AddIndex(
            model_name="cue",
            index=django.contrib.postgres.indexes.GinIndex(
                models.Func(
                    "text", function="search_words", output_field=django.contrib.postgres.search.SearchVectorField()
                ),
                name="ix_cues_words",
            ),
        ),
        migrations.CreateModel(
            name="SearchDocument",
            fields=[
                (
                    "video",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="search_document",
                        serialize=False,
                        to="videos.video",
                    ),
                ),
                ("document", django.contrib.postgres.search.SearchVectorField()),
            ],
            options={
                "db_table": "search_documents",
                "default_permissions": (),
            },
        ),
        # Not in CreateModel, which would make it at the end: after the rows, whose deferred checks forbid it.
        migrations.AddIndex(
            model_name="searchdocument",
            index=django.contrib.postgres.indexes.GinIndex(fields=["document"], name="ix_search_documents_document"),
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
    ]
