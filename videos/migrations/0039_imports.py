"""Files that are fetched from addresses."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

# The foreign keys of the fields with db_constraint=False.
FOREIGN_KEYS = """
ALTER TABLE imports ADD CONSTRAINT fk_imports_owner_id FOREIGN KEY (owner_id)
    REFERENCES auth_user (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE imports ADD CONSTRAINT fk_imports_upload_id FOREIGN KEY (upload_id)
    REFERENCES uploads (key) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE imports DROP CONSTRAINT fk_imports_owner_id;
ALTER TABLE imports DROP CONSTRAINT fk_imports_upload_id;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0038_source_files"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Import",
            fields=[
                ("key", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("address", models.CharField(max_length=4000)),
                (
                    "kind",
                    models.CharField(choices=[("http", "file"), ("store", "object"), ("page", "page")], max_length=10),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        db_default="waiting",
                        default="waiting",
                        max_length=10,
                    ),
                ),
                (
                    "details",
                    models.JSONField(default=dict, help_text="What its video will be called, as an upload has it"),
                ),
                ("via", models.CharField(help_text="From where it was asked for, for the audit log", max_length=10)),
                ("name", models.CharField(blank=True, db_default="", default="", max_length=255)),
                (
                    "validator",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="Names the state of the file, for its rest",
                        max_length=200,
                    ),
                ),
                ("video_id", models.IntegerField(blank=True, null=True)),
                ("attempt", models.IntegerField(db_default=0, default=0, help_text="Counts how often it was begun")),
                ("tries", models.IntegerField(db_default=0, default=0, help_text="Since the last new byte")),
                ("error", models.TextField(blank=True, db_default="", default="")),
                (
                    "notes",
                    models.TextField(
                        blank=True, db_default="", default="", help_text="What was left out, a sentence a line"
                    ),
                ),
                (
                    "next_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                    ),
                ),
                ("leased_until", models.DateTimeField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                    ),
                ),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "owner",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="imports",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "upload",
                    models.OneToOneField(
                        blank=True,
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="imported",
                        to="videos.upload",
                    ),
                ),
            ],
            options={
                "db_table": "imports",
                "ordering": ["-created_at"],
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["owner", "created_at"], name="ix_imports_owner_id"),
                    models.Index(
                        condition=models.Q(("state__in", ("waiting", "running"))),
                        fields=["next_at"],
                        name="ix_imports_next_at",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["http", "store", "page"])), name="ck_imports_kind"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["waiting", "running", "done", "failed", "cancelled"])),
                        name="ck_imports_state",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("attempt__gte", 0), ("tries__gte", 0)), name="ck_imports_counts"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("leased_until__isnull", False), ("state", "running")),
                            models.Q(models.Q(("state", "running"), _negated=True), ("leased_until", None)),
                            _connector="OR",
                        ),
                        name="ck_imports_lease",
                    ),
                ],
            },
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
    ]
