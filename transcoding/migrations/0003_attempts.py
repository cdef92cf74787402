import django.db.models.deletion
from django.db import migrations, models

# The foreign keys of the fields with db_constraint=False, so that psql's DELETE does what Django's would.
FOREIGN_KEYS = """
ALTER TABLE transcoding_attempts ADD CONSTRAINT fk_transcoding_attempts_job_id FOREIGN KEY (job_id)
    REFERENCES transcoding_jobs (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE transcoding_attempts ADD CONSTRAINT fk_transcoding_attempts_chunk_id FOREIGN KEY (chunk_id)
    REFERENCES transcoding_chunks (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE transcoding_attempts ADD CONSTRAINT fk_transcoding_attempts_worker_id FOREIGN KEY (worker_id)
    REFERENCES workers (worker_id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE transcoding_attempts DROP CONSTRAINT fk_transcoding_attempts_worker_id;
ALTER TABLE transcoding_attempts DROP CONSTRAINT fk_transcoding_attempts_chunk_id;
ALTER TABLE transcoding_attempts DROP CONSTRAINT fk_transcoding_attempts_job_id;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("transcoding", "0002_order_of_work"),
        ("workers", "0002_current_job"),
    ]

    operations = [
        migrations.CreateModel(
            name="Attempt",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=20)),
                ("tier", models.IntegerField(db_default=0, default=0)),
                ("first_segment", models.IntegerField(db_default=0, default=0)),
                ("last_segment", models.IntegerField(db_default=0, default=0)),
                ("number", models.IntegerField(help_text="The piece's attempt, from 1")),
                (
                    "worker_name",
                    models.CharField(db_default="", default="", help_text="Stays when the worker goes", max_length=100),
                ),
                ("started_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("completed", "Completed"),
                            ("failed", "Failed"),
                            ("lost", "Lost"),
                            ("given_back", "Given back"),
                            ("cancelled", "Cancelled"),
                        ],
                        db_default="running",
                        default="running",
                        max_length=20,
                    ),
                ),
                ("seconds", models.FloatField(db_default=0.0, default=0.0)),
                ("error", models.TextField(blank=True, null=True)),
                ("log_tail", models.TextField(blank=True, db_default="", default="")),
                (
                    "chunk",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="attempts",
                        to="transcoding.transcodingchunk",
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attempts",
                        to="transcoding.transcodingjob",
                    ),
                ),
                (
                    "worker",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="attempts",
                        to="workers.worker",
                        to_field="worker_id",
                    ),
                ),
            ],
            options={
                "db_table": "transcoding_attempts",
                "indexes": [
                    models.Index(fields=["job"], name="ix_transcoding_attempts_job_id"),
                    models.Index(fields=["started_at"], name="ix_transcoding_attempts_start"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("chunk", "number"), name="uq_attempt"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("outcome__in", ["running", "completed", "failed", "lost", "given_back", "cancelled"])
                        ),
                        name="ck_transcoding_attempts_outcome",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("first_segment__gte", 0), ("last_segment__gte", models.F("first_segment"))),
                        name="ck_transcoding_attempts_segments",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("number__gte", 1), ("seconds__gte", 0), ("tier__gte", 0)),
                        name="ck_transcoding_attempts_counts",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("ended_at", None), ("outcome", "running")),
                            models.Q(models.Q(("outcome", "running"), _negated=True), ("ended_at__isnull", False)),
                            _connector="OR",
                        ),
                        name="ck_transcoding_attempts_end",
                    ),
                ],
            },
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
    ]
