"""What was imported from other installations, and packages that VLog did not make."""

import django.db.models.deletion
from django.db import migrations, models

FOREIGN_KEY = """
ALTER TABLE imported_packages ADD CONSTRAINT fk_imported_packages_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEY = "ALTER TABLE imported_packages DROP CONSTRAINT fk_imported_packages_video_id;"
LAYOUTS = [("ts", "MPEG-TS"), ("cmaf", "fragmented MP4")]


class Migration(migrations.Migration):
    dependencies = [("videos", "0034_lists")]

    operations = [
        migrations.CreateModel(
            name="ImportMap",
            fields=[
                ("source", models.CharField(help_text="The name of the installation", max_length=30)),
                ("kind", models.CharField(help_text="The table there, or a step of the import", max_length=30)),
                ("old_id", models.BigIntegerField(help_text="The id there; 0: how far the import is")),
                (
                    "new_id",
                    models.BigIntegerField(blank=True, help_text="The id here; NULL: it was left out", null=True),
                ),
                (
                    "address",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="Of a video: its slug or token there",
                        max_length=255,
                    ),
                ),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "source", "kind", "old_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
            ],
            options={
                "db_table": "import_map",
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        condition=models.Q(("address", ""), _negated=True),
                        fields=["address"],
                        name="ix_import_map_address",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ImportedPackage",
            fields=[
                (
                    "video",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="imported_package",
                        serialize=False,
                        to="videos.video",
                    ),
                ),
                ("layout", models.CharField(choices=LAYOUTS, max_length=4)),
                (
                    "asked_at",
                    models.DateTimeField(
                        blank=True, help_text="When it was to be encoded anew; NULL: not yet", null=True
                    ),
                ),
            ],
            options={
                "db_table": "imported_packages",
                "default_permissions": (),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("layout__in", ["ts", "cmaf"])), name="ck_imported_packages_layout"
                    )
                ],
            },
        ),
        migrations.RunSQL(FOREIGN_KEY, NO_FOREIGN_KEY),
    ]
