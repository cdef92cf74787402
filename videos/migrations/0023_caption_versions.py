import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

FOREIGN_KEY = """
ALTER TABLE caption_versions ADD CONSTRAINT fk_caption_versions_track_id FOREIGN KEY (track_id)
    REFERENCES caption_tracks (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEY = "ALTER TABLE caption_versions DROP CONSTRAINT fk_caption_versions_track_id;"


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0022_desk_list"),
    ]

    operations = [
        migrations.CreateModel(
            name="CaptionVersion",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField(help_text="Counts the versions of the track, from 1")),
                ("state", models.CharField(choices=[("draft", "Draft"), ("replaced", "Replaced")], max_length=10)),
                ("language", models.CharField(help_text="BCP 47", max_length=35)),
                (
                    "origin",
                    models.CharField(
                        choices=[
                            ("whisper", "Whisper"),
                            ("file", "the video file"),
                            ("sidecar", "a file beside the video"),
                            ("uploaded", "uploaded"),
                            ("written", "written by an editor"),
                            ("translated", "translated"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "edited",
                    models.BooleanField(db_default=False, default=False, help_text="People have changed its text"),
                ),
                (
                    "cues",
                    models.JSONField(
                        default=list, help_text="[start, end, text, edited, confidence of each word or null], …"
                    ),
                ),
                ("length", models.IntegerField(db_default=0, default=0, help_text="The number of cues")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                        editable=False,
                    ),
                ),
                ("created_by", models.CharField(blank=True, db_default="", default="", max_length=150)),
            ],
            options={
                "db_table": "caption_versions",
                "ordering": ["track_id", "-number"],
                "default_permissions": (),
            },
        ),
        migrations.AddField(
            model_name="captiontrack",
            name="changed_at",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="NULL once the package has the present state", null=True
            ),
        ),
        migrations.AddField(
            model_name="captiontrack",
            name="edited",
            field=models.BooleanField(db_default=False, default=False, help_text="People have changed its text"),
        ),
        migrations.AddField(
            model_name="captiontrack",
            name="version",
            field=models.IntegerField(db_default=1, default=1, editable=False, help_text="Counts its edits"),
        ),
        migrations.AddField(
            model_name="cue",
            name="edited",
            field=models.BooleanField(db_default=False, default=False, help_text="A person has changed or added it"),
        ),
        migrations.AddIndex(
            model_name="captiontrack",
            index=models.Index(
                condition=models.Q(("changed_at__isnull", False)),
                fields=["changed_at"],
                name="ix_caption_tracks_changed_at",
            ),
        ),
        migrations.AddConstraint(
            model_name="captiontrack",
            constraint=models.CheckConstraint(
                condition=models.Q(("version__gte", 1)), name="ck_caption_tracks_version"
            ),
        ),
        migrations.AddField(
            model_name="captionversion",
            name="track",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="versions",
                to="videos.captiontrack",
            ),
        ),
        migrations.AddConstraint(
            model_name="captionversion",
            constraint=models.UniqueConstraint(fields=("track", "number"), name="uq_caption_versions_number"),
        ),
        migrations.AddConstraint(
            model_name="captionversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__gte", 1)), name="ck_caption_versions_number"
            ),
        ),
        migrations.AddConstraint(
            model_name="captionversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("length__gte", 0)), name="ck_caption_versions_length"
            ),
        ),
        migrations.AddConstraint(
            model_name="captionversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("language__regex", "^[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*$")),
                name="ck_caption_versions_language",
            ),
        ),
        migrations.AddConstraint(
            model_name="captionversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("origin__in", ["whisper", "file", "sidecar", "uploaded", "written", "translated"])),
                name="ck_caption_versions_origin",
            ),
        ),
        migrations.AddConstraint(
            model_name="captionversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["draft", "replaced"])), name="ck_caption_versions_state"
            ),
        ),
        migrations.RunSQL(FOREIGN_KEY, NO_FOREIGN_KEY),
    ]
