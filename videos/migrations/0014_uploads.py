import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import videos.models.uploads

# The foreign keys of the fields with db_constraint=False.
FOREIGN_KEYS = """
ALTER TABLE uploads ADD CONSTRAINT fk_uploads_owner_id FOREIGN KEY (owner_id)
    REFERENCES auth_user (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE uploads ADD CONSTRAINT fk_uploads_category_id FOREIGN KEY (category_id)
    REFERENCES categories (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE uploads DROP CONSTRAINT fk_uploads_owner_id;
ALTER TABLE uploads DROP CONSTRAINT fk_uploads_category_id;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0013_audio_tracks"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Upload",
            fields=[
                ("key", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(blank=True, db_default="", default="", max_length=255)),
                ("fingerprint", models.CharField(blank=True, db_default="", default="", max_length=100)),
                (
                    "batch",
                    models.CharField(blank=True, db_default="", default="", help_text="Chosen together", max_length=64),
                ),
                ("size", models.BigIntegerField()),
                ("offset", models.BigIntegerField(db_default=0, default=0)),
                (
                    "unverified",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="What the file has behind the offset may not match its checksum",
                    ),
                ),
                ("allocated", models.BooleanField(db_default=False, default=False)),
                ("title", models.CharField(blank=True, db_default="", default="", max_length=255)),
                ("description", models.TextField(blank=True, db_default="", default="")),
                ("visibility", models.CharField(blank=True, db_default="", default="", max_length=10)),
                (
                    "tags",
                    models.CharField(
                        blank=True, db_default="", default="", help_text="Separated by commas", max_length=1000
                    ),
                ),
                ("language", models.CharField(blank=True, db_default="", default="", max_length=35)),
                ("publish_early", models.BooleanField(db_default=False, default=False)),
                (
                    "notes",
                    models.TextField(
                        blank=True, db_default="", default="", help_text="What was left out, a sentence a line"
                    ),
                ),
                ("video_id", models.IntegerField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                    ),
                ),
                ("expires_at", models.DateTimeField(default=videos.models.uploads.expiry)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "category",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="videos.category",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="uploads",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "uploads",
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["owner", "created_at"], name="ix_uploads_owner_id"),
                    models.Index(fields=["expires_at"], name="ix_uploads_expires_at"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("offset__gte", 0), ("offset__lte", models.F("size")), ("size__gt", 0)),
                        name="ck_uploads_bytes",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("visibility__in", ["", "private", "unlisted", "public"])),
                        name="ck_uploads_visibility",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("finished_at", None),
                            models.Q(("offset", models.F("size")), ("unverified", False)),
                            _connector="OR",
                        ),
                        name="ck_uploads_finished",
                    ),
                ],
            },
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
    ]
