import django.db.models.deletion
from django.db import migrations, models

import vlog.schema

# The foreign keys of the fields with db_constraint=False.
# A row deleted by hand, in psql, takes along or lets go what Django's own on_delete would.
# The video's UNIQUE gets the name of the index that the schema asks for, so that one index is both.
FOREIGN_KEYS = """
ALTER TABLE transcoding_jobs ADD CONSTRAINT fk_transcoding_jobs_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE transcoding_jobs ADD CONSTRAINT fk_transcoding_jobs_worker_id FOREIGN KEY (worker_id)
    REFERENCES workers (worker_id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE quality_progress ADD CONSTRAINT fk_quality_progress_job_id FOREIGN KEY (job_id)
    REFERENCES transcoding_jobs (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE transcoding_chunks ADD CONSTRAINT fk_transcoding_chunks_job_id FOREIGN KEY (job_id)
    REFERENCES transcoding_jobs (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE transcoding_chunks ADD CONSTRAINT fk_transcoding_chunks_worker_id FOREIGN KEY (worker_id)
    REFERENCES workers (worker_id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE transcoding_jobs RENAME CONSTRAINT transcoding_jobs_video_id_key TO ix_transcoding_jobs_video_id;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE transcoding_jobs RENAME CONSTRAINT ix_transcoding_jobs_video_id TO transcoding_jobs_video_id_key;
ALTER TABLE transcoding_chunks DROP CONSTRAINT fk_transcoding_chunks_worker_id;
ALTER TABLE transcoding_chunks DROP CONSTRAINT fk_transcoding_chunks_job_id;
ALTER TABLE quality_progress DROP CONSTRAINT fk_quality_progress_job_id;
ALTER TABLE transcoding_jobs DROP CONSTRAINT fk_transcoding_jobs_worker_id;
ALTER TABLE transcoding_jobs DROP CONSTRAINT fk_transcoding_jobs_video_id;
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("videos", "0001_initial"),
        ("workers", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="TranscodingJob",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "video",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="job",
                        to="videos.video",
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
                        related_name="jobs",
                        to="workers.worker",
                        to_field="worker_id",
                    ),
                ),
                (
                    "current_step",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("probe", "Probe"),
                            ("thumbnail", "Thumbnail"),
                            ("transcode", "Transcode"),
                            ("master_playlist", "Master Playlist"),
                            ("finalize", "Finalize"),
                        ],
                        max_length=50,
                        null=True,
                    ),
                ),
                ("progress_percent", models.IntegerField(db_default=0, default=0)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("last_checkpoint", models.DateTimeField(blank=True, null=True)),
                ("completed_at", models.DateTimeField(blank=True, null=True)),
                ("claimed_at", models.DateTimeField(blank=True, null=True)),
                ("claim_expires_at", models.DateTimeField(blank=True, null=True)),
                ("attempt_number", models.IntegerField(db_default=1, default=1)),
                ("max_attempts", models.IntegerField(db_default=3, default=3)),
                ("last_error", models.TextField(blank=True, null=True)),
                ("processed_by_worker_id", models.CharField(blank=True, max_length=36, null=True)),
                ("processed_by_worker_name", models.CharField(blank=True, max_length=100, null=True)),
                ("plan", models.JSONField(blank=True, editable=False, null=True)),
            ],
            options={
                "db_table": "transcoding_jobs",
                "indexes": [
                    vlog.schema.NamedIndex(fields=["claim_expires_at"], name="ix_transcoding_jobs_claim_expires")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("current_step__in", ["probe", "thumbnail", "transcode", "master_playlist", "finalize"])
                        ),
                        name="ck_transcoding_jobs_step",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("progress_percent__range", (0, 100))), name="ck_transcoding_jobs_progress"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("attempt_number__gte", 1), ("max_attempts__gte", 1)),
                        name="ck_transcoding_jobs_attempts",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="QualityProgress",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "job",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="qualities",
                        to="transcoding.transcodingjob",
                    ),
                ),
                ("quality", models.CharField(max_length=10)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("in_progress", "In Progress"),
                            ("completed", "Completed"),
                            ("failed", "Failed"),
                            ("skipped", "Skipped"),
                        ],
                        db_default="pending",
                        default="pending",
                        max_length=20,
                    ),
                ),
                ("segments_total", models.IntegerField(blank=True, null=True)),
                ("segments_completed", models.IntegerField(db_default=0, default=0)),
                ("progress_percent", models.IntegerField(db_default=0, default=0)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("completed_at", models.DateTimeField(blank=True, null=True)),
                ("error_message", models.TextField(blank=True, null=True)),
            ],
            options={
                "verbose_name_plural": "quality progress",
                "db_table": "quality_progress",
                "indexes": [models.Index(fields=["job"], name="ix_quality_progress_job_id")],
                "constraints": [
                    models.UniqueConstraint(fields=("job", "quality"), name="uq_job_quality"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["pending", "in_progress", "completed", "failed", "skipped"])
                        ),
                        name="ck_quality_progress_status",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("progress_percent__range", (0, 100))), name="ck_quality_progress_progress"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("segments_completed__gte", 0), ("segments_total__gte", 0)),
                        name="ck_quality_progress_segments",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TranscodingChunk",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "job",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="chunks",
                        to="transcoding.transcodingjob",
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("video", "Video"),
                            ("audio", "Audio"),
                            ("storyboard", "Storyboard"),
                            ("transcription", "Transcription"),
                        ],
                        db_default="video",
                        default="video",
                        max_length=20,
                    ),
                ),
                ("tier", models.IntegerField(db_default=0, default=0)),
                (
                    "index",
                    models.IntegerField(db_default=0, default=0, help_text="Position in the plan; 0 comes first"),
                ),
                ("first_segment", models.IntegerField(db_default=0, default=0)),
                ("last_segment", models.IntegerField(db_default=0, default=0)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("running", "Running"),
                            ("completed", "Completed"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        db_default="pending",
                        default="pending",
                        max_length=20,
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
                        related_name="chunks",
                        to="workers.worker",
                        to_field="worker_id",
                    ),
                ),
                ("attempt", models.IntegerField(db_default=0, default=0)),
                ("failures", models.IntegerField(db_default=0, default=0)),
                (
                    "delivered",
                    models.BooleanField(
                        db_default=False, default=False, help_text="Whether a segment arrived since the last claim"
                    ),
                ),
                ("lease_expires_at", models.DateTimeField(blank=True, null=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("completed_at", models.DateTimeField(blank=True, null=True)),
                ("error", models.TextField(blank=True, null=True)),
            ],
            options={
                "db_table": "transcoding_chunks",
                "indexes": [
                    models.Index(fields=["job"], name="ix_transcoding_chunks_job_id"),
                    models.Index(
                        condition=models.Q(("status__in", ["pending", "running"])),
                        fields=["index", "job", "tier"],
                        name="ix_transcoding_chunks_claim",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("job", "kind", "tier", "first_segment"), name="uq_chunk"),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["video", "audio", "storyboard", "transcription"])),
                        name="ck_transcoding_chunks_kind",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["pending", "running", "completed", "failed", "cancelled"])),
                        name="ck_transcoding_chunks_status",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("first_segment__gte", 0), ("last_segment__gte", models.F("first_segment"))),
                        name="ck_transcoding_chunks_segments",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("attempt__gte", 0), ("failures__gte", 0), ("index__gte", 0), ("tier__gte", 0)
                        ),
                        name="ck_transcoding_chunks_counts",
                    ),
                ],
            },
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
    ]
