"""The parts of a long recording, each with what Whisper recognizes in it."""

import django.db.models.deletion
from django.db import migrations, models

KINDS = ["video", "audio", "storyboard", "captions", "transcription"]
CHUNKS = """
DELETE FROM transcoding_attempts WHERE kind = 'speech';
DELETE FROM transcoding_chunks WHERE kind = 'speech';
SET CONSTRAINTS ALL IMMEDIATE;
"""
FOREIGN_KEY = """
ALTER TABLE speech_parts ADD CONSTRAINT fk_speech_parts_chunk_id FOREIGN KEY (chunk_id)
    REFERENCES transcoding_chunks (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEY = "ALTER TABLE speech_parts DROP CONSTRAINT fk_speech_parts_chunk_id"
# An earlier release would wait for parts for ever: it transcribes the whole.
WAITING = """
UPDATE transcoding_chunks SET status = 'pending', worker_id = NULL, lease_expires_at = NULL
FROM transcriptions, transcoding_jobs
WHERE transcoding_chunks.job_id = transcoding_jobs.id AND transcriptions.video_id = transcoding_jobs.video_id
    AND transcoding_chunks.kind = 'transcription' AND transcriptions.status IN ('pending', 'processing')
    AND EXISTS (SELECT FROM transcoding_chunks p WHERE p.job_id = transcoding_jobs.id AND p.kind = 'speech');
INSERT INTO transcoding_chunks (job_id, kind)
SELECT DISTINCT transcoding_jobs.id, 'transcription' FROM transcoding_jobs
    JOIN transcriptions ON transcriptions.video_id = transcoding_jobs.video_id
    JOIN transcoding_chunks p ON p.job_id = transcoding_jobs.id AND p.kind = 'speech'
WHERE transcriptions.status IN ('pending', 'processing')
ON CONFLICT DO NOTHING;
"""


def constraint(*kinds: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=models.Q(("kind__in", list(kinds))), name="ck_transcoding_chunks_kind")


def field(*kinds: str) -> models.CharField:
    choices = [(kind, kind.title()) for kind in kinds]
    return models.CharField(choices=choices, db_default="video", default="video", max_length=20)


class Migration(migrations.Migration):
    dependencies = [
        ("transcoding", "0014_place"),
    ]

    operations = [
        migrations.RemoveConstraint("transcodingchunk", "ck_transcoding_chunks_kind"),
        migrations.AlterField("transcodingchunk", "kind", field(*KINDS, "speech")),
        migrations.RunSQL(migrations.RunSQL.noop, WAITING + CHUNKS),
        migrations.AddConstraint("transcodingchunk", constraint(*KINDS, "speech")),
        migrations.CreateModel(
            name="SpeechPart",
            fields=[
                (
                    "chunk",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="part",
                        serialize=False,
                        to="transcoding.transcodingchunk",
                    ),
                ),
                ("begin", models.FloatField(help_text="Seconds of the video")),
                ("end", models.FloatField(help_text="Seconds of the video")),
                ("percent", models.IntegerField(db_default=0, default=0)),
                (
                    "languages",
                    models.JSONField(
                        blank=True, help_text="Seconds of speech in each language: {code: seconds}", null=True
                    ),
                ),
                (
                    "said",
                    models.JSONField(
                        blank=True,
                        help_text="[[start, end, text, no_speech, loudness, words], …]; NULL: not transcribed yet",
                        null=True,
                    ),
                ),
            ],
            options={
                "db_table": "speech_parts",
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("begin__gte", 0), ("end__gt", models.F("begin"))),
                        name="ck_speech_parts_times",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("percent__range", (0, 100))), name="ck_speech_parts_percent"
                    ),
                ],
            },
        ),
        migrations.RunSQL(FOREIGN_KEY, NO_FOREIGN_KEY),
    ]
