"""The audio tracks of videos."""

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

FOREIGN_KEY = """
ALTER TABLE audio_tracks ADD CONSTRAINT fk_audio_tracks_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEY = "ALTER TABLE audio_tracks DROP CONSTRAINT fk_audio_tracks_video_id;"


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0012_visibility"),
    ]

    operations = [
        migrations.CreateModel(
            name="AudioTrack",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "rendition",
                    models.CharField(editable=False, help_text="The key of the rendition", max_length=10),
                ),
                (
                    "language",
                    models.CharField(
                        db_default="und",
                        default="und",
                        help_text="Its code, such as en or pt-BR; und: unknown",
                        max_length=35,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$",
                                "Give the code of a language, such as en, fr or pt-BR; und: unknown.",
                            )
                        ],
                    ),
                ),
                (
                    "name",
                    models.CharField(
                        help_text="In the player's menu",
                        max_length=100,
                        validators=[
                            django.core.validators.RegexValidator(
                                '["\\x00-\\x1f\\x7f]', 'The name must not contain ".', inverse_match=True
                            )
                        ],
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "Main audio"),
                            ("description", "Audio description"),
                            ("commentary", "Commentary"),
                        ],
                        db_default="",
                        default="",
                        max_length=20,
                    ),
                ),
                ("is_default", models.BooleanField(db_default=False, default=False, verbose_name="default")),
                ("hidden", models.BooleanField(db_default=False, default=False)),
                ("position", models.IntegerField(db_default=0, default=0, verbose_name="order")),
                (
                    "loudness",
                    models.FloatField(
                        blank=True, editable=False, help_text="LUFS, EBU R 128; NULL of silence", null=True
                    ),
                ),
                (
                    "video",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="audio_tracks",
                        to="videos.video",
                    ),
                ),
            ],
            options={
                "db_table": "audio_tracks",
                "ordering": ["video_id", "position", "id"],
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("video", "rendition"), name="uq_audio_tracks_rendition"),
                    models.UniqueConstraint(
                        condition=models.Q(("is_default", True)), fields=("video",), name="uq_audio_tracks_default"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("is_default", False), ("hidden", False), _connector="OR"),
                        name="ck_audio_tracks_default",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["", "description", "commentary"])),
                        name="ck_audio_tracks_role",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True), name="ck_audio_tracks_name"
                    ),
                ],
            },
        ),
        migrations.RunSQL(FOREIGN_KEY, NO_FOREIGN_KEY),
    ]
