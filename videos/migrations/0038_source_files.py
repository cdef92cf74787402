"""The contents of originals, by which a file is known that was imported before."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

NOW = models.Func(function="NOW", output_field=models.DateTimeField())

# The foreign key of the field with db_constraint=False.
FOREIGN_KEYS = """
ALTER TABLE source_files ADD CONSTRAINT fk_source_files_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = "ALTER TABLE source_files DROP CONSTRAINT fk_source_files_video_id"


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0037_base_views"),
    ]

    operations = [
        migrations.CreateModel(
            name="SourceFile",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField(help_text="The folder of the original")),
                ("size", models.BigIntegerField(help_text="Bytes")),
                ("sha256", models.CharField(max_length=64)),
                ("path", models.CharField(blank=True, db_default="", default="", max_length=1000)),
                (
                    "changed_ns",
                    models.BigIntegerField(
                        blank=True,
                        help_text="When the file at the path was last written, in nanoseconds since 1970",
                        null=True,
                    ),
                ),
                ("created_at", models.DateTimeField(db_default=NOW, default=django.utils.timezone.now)),
                (
                    "video",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="source_files",
                        to="videos.video",
                    ),
                ),
            ],
            options={
                "db_table": "source_files",
                "default_permissions": (),
                "indexes": [models.Index(fields=["size", "sha256"], name="ix_source_files_size")],
                "constraints": [
                    models.UniqueConstraint(fields=("video", "number"), name="uq_source_files_number"),
                    models.CheckConstraint(condition=models.Q(("size__gt", 0)), name="ck_source_files_size"),
                    models.CheckConstraint(
                        condition=models.Q(("sha256__regex", "^[0-9a-f]{64}$")), name="ck_source_files_sha256"
                    ),
                ],
            },
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
    ]
