import django.contrib.postgres.functions
import django.db.models.deletion
import django.db.models.functions.comparison
import django.db.models.functions.text
import django.utils.timezone
from django.db import migrations, models

import videos.models

# The foreign keys of the fields with db_constraint=False.
# A row deleted by hand, in psql, takes along or lets go what Django's own on_delete would.
FOREIGN_KEYS = """
ALTER TABLE videos ADD CONSTRAINT fk_videos_category_id FOREIGN KEY (category_id)
    REFERENCES categories (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE video_tags ADD CONSTRAINT fk_video_tags_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE video_tags ADD CONSTRAINT fk_video_tags_tag_id FOREIGN KEY (tag_id)
    REFERENCES tags (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE video_qualities ADD CONSTRAINT fk_video_qualities_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE transcriptions ADD CONSTRAINT fk_transcriptions_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE transcriptions DROP CONSTRAINT fk_transcriptions_video_id;
ALTER TABLE video_qualities DROP CONSTRAINT fk_video_qualities_video_id;
ALTER TABLE video_tags DROP CONSTRAINT fk_video_tags_tag_id;
ALTER TABLE video_tags DROP CONSTRAINT fk_video_tags_video_id;
ALTER TABLE videos DROP CONSTRAINT fk_videos_category_id;
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Category",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100)),
                ("slug", models.SlugField(blank=True, db_index=False, max_length=100)),
                ("description", models.TextField(blank=True, db_default="", default="")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                        editable=False,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "categories",
                "db_table": "categories",
                "ordering": ["name", "id"],
                "constraints": [models.UniqueConstraint(fields=("slug",), name="uq_categories_slug")],
            },
        ),
        migrations.CreateModel(
            name="Tag",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=50)),
                ("slug", models.SlugField(blank=True, db_index=False)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                        editable=False,
                    ),
                ),
            ],
            options={
                "db_table": "tags",
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(fields=("name",), name="uq_tags_name"),
                    models.UniqueConstraint(fields=("slug",), name="ix_tags_slug"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Video",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("title", models.CharField(max_length=255)),
                ("slug", models.SlugField(db_index=False, max_length=255)),
                ("description", models.TextField(blank=True, db_default="", default="")),
                (
                    "category",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="videos",
                        to="videos.category",
                    ),
                ),
                ("duration", models.FloatField(db_default=0.0, default=0.0, help_text="Seconds")),
                ("source_width", models.IntegerField(db_default=0, default=0)),
                ("source_height", models.IntegerField(db_default=0, default=0)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("processing", "Processing"),
                            ("ready", "Ready"),
                            ("failed", "Failed"),
                        ],
                        db_default="pending",
                        default="pending",
                        max_length=20,
                    ),
                ),
                ("error_message", models.TextField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                        editable=False,
                    ),
                ),
                ("published_at", models.DateTimeField(blank=True, null=True)),
                ("deleted_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "media_key",
                    models.CharField(
                        db_default=django.db.models.functions.text.Replace(
                            django.db.models.functions.comparison.Cast(
                                django.contrib.postgres.functions.RandomUUID(), models.CharField()
                            ),
                            models.Value("-"),
                            models.Value(""),
                        ),
                        default=videos.models.new_media_key,
                        editable=False,
                        max_length=32,
                    ),
                ),
                (
                    "source_name",
                    models.CharField(blank=True, db_default="", default="", editable=False, max_length=255),
                ),
            ],
            options={
                "db_table": "videos",
                "indexes": [
                    models.Index(fields=["status"], name="ix_videos_status"),
                    models.Index(fields=["category"], name="ix_videos_category_id"),
                    models.Index(fields=["created_at"], name="ix_videos_created_at"),
                    models.Index(fields=["published_at"], name="ix_videos_published_at"),
                    models.Index(fields=["deleted_at"], name="ix_videos_deleted_at"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("slug",), name="uq_videos_slug"),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["pending", "processing", "ready", "failed"])),
                        name="ck_videos_status",
                    ),
                    models.CheckConstraint(condition=models.Q(("duration__gte", 0)), name="ck_videos_duration"),
                    models.CheckConstraint(
                        condition=models.Q(("source_height__gte", 0), ("source_width__gte", 0)),
                        name="ck_videos_source_size",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("media_key__regex", "^[0-9a-f]{32}$")), name="ck_videos_media_key"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="VideoTag",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "video_id", "tag_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "video",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="videos.video",
                    ),
                ),
                (
                    "tag",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="videos.tag",
                    ),
                ),
            ],
            options={
                "db_table": "video_tags",
                "indexes": [
                    models.Index(fields=["video"], name="ix_video_tags_video_id"),
                    models.Index(fields=["tag"], name="ix_video_tags_tag_id"),
                ],
            },
        ),
        migrations.AddField(
            model_name="video",
            name="tags",
            field=models.ManyToManyField(blank=True, related_name="videos", through="videos.VideoTag", to="videos.tag"),
        ),
        migrations.CreateModel(
            name="VideoQuality",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "video",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="qualities",
                        to="videos.video",
                    ),
                ),
                ("quality", models.CharField(max_length=10)),
                ("width", models.IntegerField(help_text="Pixels")),
                ("height", models.IntegerField(help_text="Pixels")),
                ("bitrate", models.IntegerField(help_text="Measured average in kbit/s")),
            ],
            options={
                "verbose_name_plural": "video qualities",
                "db_table": "video_qualities",
                "constraints": [
                    models.UniqueConstraint(fields=("video", "quality"), name="uq_video_quality"),
                    models.CheckConstraint(
                        condition=models.Q(("bitrate__gte", 0), ("height__gte", 0), ("width__gte", 0)),
                        name="ck_video_qualities_sizes",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Transcription",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "video",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="transcription",
                        to="videos.video",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("processing", "Processing"),
                            ("completed", "Completed"),
                            ("failed", "Failed"),
                        ],
                        db_default="pending",
                        default="pending",
                        max_length=20,
                    ),
                ),
                ("language", models.CharField(db_default="en", default="en", max_length=10)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("completed_at", models.DateTimeField(blank=True, null=True)),
                ("duration_seconds", models.FloatField(blank=True, help_text="What the transcription took", null=True)),
                ("transcript_text", models.TextField(blank=True, null=True)),
                ("vtt_path", models.CharField(blank=True, max_length=255, null=True)),
                ("word_count", models.IntegerField(blank=True, null=True)),
                ("error_message", models.TextField(blank=True, null=True)),
            ],
            options={
                "db_table": "transcriptions",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["pending", "processing", "completed", "failed"])),
                        name="ck_transcriptions_status",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("duration_seconds__gte", 0)), name="ck_transcriptions_duration"
                    ),
                    models.CheckConstraint(condition=models.Q(("word_count__gte", 0)), name="ck_transcriptions_words"),
                ],
            },
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
    ]
