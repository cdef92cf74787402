"""A video that fewer people may watch gets another media key, whatever wrote its row.

`video_reach` orders the states by who may fetch the files: 0 for editors only, 1 for everyone.
"""

from django.db import migrations, models

FORWARDS = """
CREATE FUNCTION video_reach(status TEXT, publish_early BOOLEAN, published_at TIMESTAMPTZ, deleted_at TIMESTAMPTZ)
RETURNS INTEGER LANGUAGE sql AS $$
    SELECT CASE
        WHEN deleted_at IS NULL AND published_at <= clock_timestamp()
            AND (status = 'ready' OR status = 'processing' AND publish_early) THEN 1
        ELSE 0
    END
$$;
CREATE FUNCTION renew_media_key() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.media_key = OLD.media_key
        AND video_reach(NEW.status, NEW.publish_early, NEW.published_at, NEW.deleted_at)
            < video_reach(OLD.status, OLD.publish_early, OLD.published_at, OLD.deleted_at)
    THEN
        NEW.media_key := replace(gen_random_uuid()::TEXT, '-', '');
    END IF;
    IF NEW.media_key <> OLD.media_key OR (NEW.deleted_at IS NULL) <> (OLD.deleted_at IS NULL) THEN
        NEW.misplaced := TRUE;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tr_videos_media_key BEFORE UPDATE OF status, publish_early, published_at, deleted_at, media_key ON videos
    FOR EACH ROW EXECUTE FUNCTION renew_media_key();
"""
BACKWARDS = """
DROP TRIGGER tr_videos_media_key ON videos;
DROP FUNCTION renew_media_key();
DROP FUNCTION video_reach(TEXT, BOOLEAN, TIMESTAMPTZ, TIMESTAMPTZ);
"""


class Migration(migrations.Migration):
    dependencies = [("videos", "0008_poster_version")]

    operations = [
        migrations.AddField(
            model_name="video",
            name="misplaced",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddIndex(
            model_name="video",
            index=models.Index(condition=models.Q(("misplaced", True)), fields=["id"], name="ix_videos_misplaced"),
        ),
        migrations.RunSQL(FORWARDS, BACKWARDS),
    ]
