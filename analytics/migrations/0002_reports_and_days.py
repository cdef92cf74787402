import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

# The foreign key of the field with db_constraint=False.
FOREIGN_KEY = """
ALTER TABLE daily_views ADD CONSTRAINT fk_daily_views_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEY = "ALTER TABLE daily_views DROP CONSTRAINT fk_daily_views_video_id;"

# A session is written every few seconds. With room left on its page, the new version of the row stands beside the old
# one and no index is touched.
ROOM = "ALTER TABLE playback_sessions SET (fillfactor = 70);"
NO_ROOM = "ALTER TABLE playback_sessions RESET (fillfactor);"

# A function, because PostgreSQL keeps the plans of its statements, and a report is one round trip whatever comes of it.
# FOR UPDATE has a report that comes at the same moment wait, and then see this one's number. A crash of the database
# server may cost the last fraction of a second of reports, so their commit does not wait for the disk.
RECORD_PLAYBACK = """
CREATE FUNCTION record_playback(
    token text, number int, played float, furthest float, quality text, ends boolean,
    fastest float, slack float, complete float
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    now CONSTANT timestamptz := STATEMENT_TIMESTAMP();
    session record;
    video_duration float;
    seconds float;
    tally float;
BEGIN
    SELECT id, video_id, last_report, reported_at, started_at, duration_watched, quality_seconds, quality_used
        INTO session FROM playback_sessions WHERE session_token = token FOR UPDATE;
    IF NOT FOUND THEN RETURN 'unknown session'; END IF;
    IF session.last_report >= number THEN RETURN 'late'; END IF;
    SELECT duration INTO video_duration FROM videos WHERE id = session.video_id;
    IF furthest > video_duration + slack THEN RETURN 'beyond the end'; END IF;
    IF quality IS NOT NULL AND NOT EXISTS (
        SELECT FROM video_qualities q WHERE q.video_id = session.video_id AND q.quality = record_playback.quality
    ) THEN RETURN 'unknown quality'; END IF;
    -- No more than can have been played since the last report, and none of it twice.
    seconds := GREATEST(0, LEAST(
        played,
        EXTRACT(EPOCH FROM now - session.reported_at) * fastest + slack,
        EXTRACT(EPOCH FROM now - session.started_at) * fastest + slack - session.duration_watched
    ));
    IF quality IS NOT NULL THEN
        tally := COALESCE((session.quality_seconds ->> quality)::float, 0) + seconds;
        IF session.quality_used IS NULL OR tally > (session.quality_seconds ->> session.quality_used)::float THEN
            session.quality_used := quality;
        END IF;
        session.quality_seconds := session.quality_seconds || jsonb_build_object(quality, tally);
    END IF;
    PERFORM set_config('synchronous_commit', 'off', TRUE);
    UPDATE playback_sessions SET
        last_report = number,
        reported_at = now,
        ended_at = CASE WHEN ends THEN now END,
        duration_watched = duration_watched + seconds,
        max_position = GREATEST(max_position, LEAST(furthest, video_duration)),
        completed = completed OR furthest >= video_duration * complete,
        quality_seconds = session.quality_seconds,
        quality_used = session.quality_used,
        rolled_up = FALSE
        WHERE id = session.id;
    RETURN 'recorded';
END $$;
"""
NO_RECORD_PLAYBACK = "DROP FUNCTION record_playback(text, int, float, float, text, boolean, float, float, float);"


class Migration(migrations.Migration):
    dependencies = [
        ("analytics", "0001_initial"),
        ("videos", "0002_archive_cues_views"),
    ]

    operations = [
        migrations.CreateModel(
            name="DailyViews",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "video_id", "day", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "video",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="daily_views",
                        to="videos.video",
                    ),
                ),
                ("day", models.DateField()),
                ("views", models.IntegerField(db_default=0, default=0)),
                (
                    "unique_viewers",
                    models.IntegerField(db_default=0, default=0, help_text="Without those who are not known"),
                ),
                ("watch_seconds", models.FloatField(db_default=0.0, default=0.0)),
                ("completions", models.IntegerField(db_default=0, default=0)),
            ],
            options={
                "verbose_name_plural": "daily views",
                "db_table": "daily_views",
            },
        ),
        migrations.CreateModel(
            name="Overview",
            fields=[],
            options={
                "verbose_name": "overview",
                "verbose_name_plural": "overview",
                "proxy": True,
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("analytics.playbacksession",),
        ),
        migrations.AddField(
            model_name="playbacksession",
            name="last_report",
            field=models.IntegerField(db_default=0, default=0, help_text="Number of the latest report that counted"),
        ),
        migrations.AddField(
            model_name="playbacksession",
            name="quality_seconds",
            field=models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict),
        ),
        migrations.AddField(
            model_name="playbacksession",
            name="reported_at",
            field=models.DateTimeField(
                db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                default=django.utils.timezone.now,
            ),
        ),
        migrations.AddField(
            model_name="playbacksession",
            name="rolled_up",
            field=models.BooleanField(db_default=False, default=False, help_text="Whether daily_views knows all of it"),
        ),
        migrations.AddIndex(
            model_name="playbacksession",
            index=models.Index(condition=models.Q(("ended_at", None)), fields=["id"], name="ix_playback_sessions_open"),
        ),
        migrations.AddIndex(
            model_name="playbacksession",
            index=models.Index(
                condition=models.Q(("rolled_up", False)),
                fields=["video", "started_at"],
                name="ix_playback_sessions_stale",
            ),
        ),
        migrations.AddConstraint(
            model_name="playbacksession",
            constraint=models.CheckConstraint(
                condition=models.Q(("last_report__gte", 0)), name="ck_playback_sessions_last_report"
            ),
        ),
        migrations.AddIndex(
            model_name="dailyviews",
            index=models.Index(fields=["day"], name="ix_daily_views_day"),
        ),
        migrations.AddConstraint(
            model_name="dailyviews",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("completions__gte", 0), ("unique_viewers__gte", 0), ("views__gte", 0), ("watch_seconds__gte", 0)
                ),
                name="ck_daily_views_counts",
            ),
        ),
        migrations.RunSQL(FOREIGN_KEY, NO_FOREIGN_KEY),
        migrations.RunSQL(ROOM, NO_ROOM),
        migrations.RunSQL(RECORD_PLAYBACK, NO_RECORD_PLAYBACK),
    ]
