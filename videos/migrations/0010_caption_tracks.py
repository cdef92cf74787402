import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

# The cues of before become those of one track for each video, in the language of its transcription. Its files stay in
# `captions/<language>/` until they are written again.
TRACKS = """
INSERT INTO caption_tracks (video_id, number, language, kind, origin, state)
    SELECT v.id, 1, CASE WHEN t.language ~ '^[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*$' THEN t.language ELSE 'und' END,
           'captions', 'whisper', 'published'
    FROM videos v LEFT JOIN transcriptions t ON t.video_id = v.id
    WHERE EXISTS (SELECT FROM cues c WHERE c.video_id = v.id);
UPDATE cues SET track_id = t.id FROM caption_tracks t WHERE t.video_id = cues.video_id;
SET CONSTRAINTS ALL IMMEDIATE;
"""
# Only one track of each video has a place in the table of before.
NO_TRACKS = """
DELETE FROM cues WHERE track_id NOT IN
    (SELECT DISTINCT ON (video_id) id FROM caption_tracks WHERE state = 'published' ORDER BY video_id, number);
UPDATE cues SET video_id = t.video_id FROM caption_tracks t WHERE t.id = cues.track_id;
SET CONSTRAINTS ALL IMMEDIATE;
"""
FOREIGN_KEYS = """
ALTER TABLE caption_tracks ADD CONSTRAINT fk_caption_tracks_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE cues ADD CONSTRAINT fk_cues_track_id FOREIGN KEY (track_id)
    REFERENCES caption_tracks (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE cues DROP CONSTRAINT fk_cues_track_id;
ALTER TABLE caption_tracks DROP CONSTRAINT fk_caption_tracks_video_id;
"""
# On the way back. On the way forward it goes with its column.
OLD_FOREIGN_KEY = """
ALTER TABLE cues ADD CONSTRAINT fk_cues_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""


def key(to, name, **more):
    return models.ForeignKey(
        db_constraint=False,
        db_index=False,
        on_delete=django.db.models.deletion.CASCADE,
        related_name=name,
        to=to,
        **more,
    )


class Migration(migrations.Migration):
    dependencies = [("videos", "0009_media_key_follows")]

    operations = [
        migrations.CreateModel(
            name="CaptionTrack",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.SmallIntegerField(help_text="Counts the tracks of the video, from 1")),
                ("language", models.CharField(db_default="und", default="und", help_text="BCP 47", max_length=35)),
                (
                    "name",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="Empty: the name of the language",
                        max_length=100,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("captions", "Captions"),
                            ("subtitles", "Subtitles"),
                            ("descriptions", "Descriptions"),
                        ],
                        db_default="captions",
                        default="captions",
                        max_length=20,
                    ),
                ),
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
                    "state",
                    models.CharField(
                        choices=[("draft", "Draft"), ("published", "Published")],
                        db_default="draft",
                        default="draft",
                        max_length=20,
                    ),
                ),
                (
                    "is_default",
                    models.BooleanField(
                        db_default=False, default=False, help_text="Shown until a viewer chooses another"
                    ),
                ),
                (
                    "is_forced",
                    models.BooleanField(
                        db_default=False, default=False, help_text="Only what the audio says in others"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                        editable=False,
                    ),
                ),
                ("video", key("videos.video", "caption_tracks")),
            ],
            options={"db_table": "caption_tracks", "ordering": ["video_id", "number"], "default_permissions": ()},
        ),
        migrations.AddConstraint(
            model_name="captiontrack",
            constraint=models.UniqueConstraint(fields=("video", "number"), name="uq_caption_tracks_number"),
        ),
        migrations.AddConstraint(
            model_name="captiontrack",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_default", True)), fields=("video",), name="uq_caption_tracks_default"
            ),
        ),
        migrations.AddConstraint(
            model_name="captiontrack",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__range", (1, 99))), name="ck_caption_tracks_number"
            ),
        ),
        migrations.AddConstraint(
            model_name="captiontrack",
            constraint=models.CheckConstraint(
                condition=models.Q(("language__regex", "^[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*$")),
                name="ck_caption_tracks_language",
            ),
        ),
        migrations.AddConstraint(
            model_name="captiontrack",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["captions", "subtitles", "descriptions"])),
                name="ck_caption_tracks_kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="captiontrack",
            constraint=models.CheckConstraint(
                condition=models.Q(("origin__in", ["whisper", "file", "sidecar", "uploaded", "written", "translated"])),
                name="ck_caption_tracks_origin",
            ),
        ),
        migrations.AddConstraint(
            model_name="captiontrack",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["draft", "published"])), name="ck_caption_tracks_state"
            ),
        ),
        migrations.AddField(
            model_name="cue",
            name="confidence",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.FloatField(),
                blank=True,
                help_text="Of each word, 0 to 1; NULL where it is not known",
                null=True,
                size=None,
            ),
        ),
        migrations.AddField("cue", "track", key("videos.captiontrack", "cues", null=True)),
        migrations.RunSQL(migrations.RunSQL.noop, OLD_FOREIGN_KEY),
        migrations.AlterField("cue", "video", key("videos.video", "old_cues", null=True)),
        migrations.RunSQL(TRACKS, NO_TRACKS),
        migrations.AlterField("cue", "track", key("videos.captiontrack", "cues")),
        migrations.AlterModelOptions("cue", {"ordering": ["track_id", "start", "id"]}),
        migrations.RemoveIndex("cue", "ix_cues_video_id_start"),
        migrations.RemoveField("cue", "video"),
        migrations.AddIndex("cue", models.Index(fields=["track", "start"], name="ix_cues_track_id_start")),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
    ]
