import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import vlog.schema

# The foreign keys of the fields with db_constraint=False.
# A row deleted by hand, in psql, takes along or lets go what Django's own on_delete would.
FOREIGN_KEYS = """
ALTER TABLE playback_sessions ADD CONSTRAINT fk_playback_sessions_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE playback_sessions ADD CONSTRAINT fk_playback_sessions_viewer_id FOREIGN KEY (viewer_id)
    REFERENCES viewers (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE playback_sessions DROP CONSTRAINT fk_playback_sessions_viewer_id;
ALTER TABLE playback_sessions DROP CONSTRAINT fk_playback_sessions_video_id;
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("videos", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Viewer",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("session_id", models.CharField(max_length=64)),
                (
                    "first_seen",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                    ),
                ),
                (
                    "last_seen",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                    ),
                ),
            ],
            options={
                "db_table": "viewers",
                "constraints": [models.UniqueConstraint(fields=("session_id",), name="uq_viewers_session_id")],
            },
        ),
        migrations.CreateModel(
            name="PlaybackSession",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "video",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="playback_sessions",
                        to="videos.video",
                    ),
                ),
                (
                    "viewer",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="playback_sessions",
                        to="analytics.viewer",
                    ),
                ),
                ("session_token", models.CharField(max_length=64)),
                (
                    "started_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                    ),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("duration_watched", models.FloatField(db_default=0.0, default=0.0)),
                ("max_position", models.FloatField(db_default=0.0, default=0.0)),
                ("quality_used", models.CharField(blank=True, max_length=10, null=True)),
                ("completed", models.BooleanField(db_default=False, default=False, help_text="Watched 90 % or more")),
            ],
            options={
                "db_table": "playback_sessions",
                "indexes": [
                    models.Index(fields=["video"], name="ix_playback_sessions_video_id"),
                    models.Index(fields=["viewer"], name="ix_playback_sessions_viewer_id"),
                    vlog.schema.NamedIndex(fields=["started_at"], name="ix_playback_sessions_started_at"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("session_token",), name="uq_playback_sessions_session_token"),
                    models.CheckConstraint(
                        condition=models.Q(("duration_watched__gte", 0), ("max_position__gte", 0)),
                        name="ck_playback_sessions_seconds",
                    ),
                ],
            },
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
    ]
