import django.db.models.deletion
from django.db import migrations, models

FOREIGN_KEYS = """
ALTER TABLE chapters ADD CONSTRAINT fk_chapters_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE source_streams ADD CONSTRAINT fk_source_streams_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE source_streams DROP CONSTRAINT fk_source_streams_video_id;
ALTER TABLE chapters DROP CONSTRAINT fk_chapters_video_id;
"""


def video(name):
    return models.ForeignKey(
        db_constraint=False,
        db_index=False,
        on_delete=django.db.models.deletion.CASCADE,
        related_name=name,
        to="videos.video",
    )


class Migration(migrations.Migration):
    dependencies = [("videos", "0010_caption_tracks")]

    operations = [
        migrations.CreateModel(
            name="Chapter",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("start", models.FloatField(help_text="Seconds")),
                ("title", models.CharField(max_length=255)),
                ("video", video("chapters")),
            ],
            options={"db_table": "chapters", "ordering": ["video_id", "start"], "default_permissions": ()},
        ),
        migrations.CreateModel(
            name="SourceStream",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField(help_text="As the container counts, from 0")),
                (
                    "kind",
                    models.CharField(help_text="Such as video, audio, subtitles, captions, attachment", max_length=20),
                ),
                ("codec", models.CharField(blank=True, db_default="", default="", max_length=50)),
                ("language", models.CharField(db_default="und", default="und", help_text="BCP 47", max_length=35)),
                ("title", models.CharField(blank=True, db_default="", default="", max_length=255)),
                ("fate", models.CharField(choices=[("taken", "Taken"), ("left_out", "Not taken")], max_length=20)),
                ("reason", models.TextField()),
                ("video", video("source_streams")),
            ],
            options={
                "db_table": "source_streams",
                "ordering": ["video_id", "number", "kind"],
                "default_permissions": (),
            },
        ),
        migrations.AddConstraint(
            model_name="chapter",
            constraint=models.UniqueConstraint(fields=("video", "start"), name="uq_chapters_start"),
        ),
        migrations.AddConstraint(
            model_name="chapter",
            constraint=models.CheckConstraint(condition=models.Q(("start__gte", 0)), name="ck_chapters_start"),
        ),
        migrations.AddConstraint(
            model_name="sourcestream",
            constraint=models.UniqueConstraint(fields=("video", "number", "kind"), name="uq_source_streams"),
        ),
        migrations.AddConstraint(
            model_name="sourcestream",
            constraint=models.CheckConstraint(
                condition=models.Q(("fate__in", ["taken", "left_out"])), name="ck_source_streams_fate"
            ),
        ),
        migrations.AddConstraint(
            model_name="sourcestream",
            constraint=models.CheckConstraint(condition=models.Q(("number__gte", 0)), name="ck_source_streams_number"),
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
    ]
