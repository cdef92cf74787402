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
    ]
