import django.db.models.deletion
import django.db.models.functions.comparison
import django.utils.timezone
from django.db import migrations, models

# The foreign keys of the fields with db_constraint=False.
FOREIGN_KEYS = """
ALTER TABLE videos ADD CONSTRAINT fk_videos_version_of_id FOREIGN KEY (version_of_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE file_versions ADD CONSTRAINT fk_file_versions_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE file_versions ADD CONSTRAINT fk_file_versions_holder_id FOREIGN KEY (holder_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE uploads ADD CONSTRAINT fk_uploads_replaces_id FOREIGN KEY (replaces_id)
    REFERENCES videos (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE uploads DROP CONSTRAINT fk_uploads_replaces_id;
ALTER TABLE file_versions DROP CONSTRAINT fk_file_versions_holder_id;
ALTER TABLE file_versions DROP CONSTRAINT fk_file_versions_video_id;
ALTER TABLE videos DROP CONSTRAINT fk_videos_version_of_id;
"""

# The packages of other versions get other keys whenever another visibility, another password or the archive decides who
# may watch the video: what was open to some people must not be open to others by the same address.
TRIGGER = """
CREATE FUNCTION follow_video() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE videos SET deleted_at = NEW.deleted_at, media_key = replace(gen_random_uuid()::TEXT, '-', '')
        WHERE version_of_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER tr_videos_versions
    AFTER UPDATE OF status, publish_early, playable, visibility, password, deleted_at ON videos FOR EACH ROW
    WHEN (OLD.visibility <> NEW.visibility OR OLD.password <> NEW.password OR OLD.watchable <> NEW.watchable
        OR (OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL))
    EXECUTE FUNCTION follow_video();
"""
NO_TRIGGER = """
DROP TRIGGER tr_videos_versions ON videos;
DROP FUNCTION follow_video();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0014_uploads"),
    ]

    operations = [
        migrations.CreateModel(
            name="FileVersion",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.IntegerField(help_text="Counts the versions of the video, from 1")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("making", "being made"),
                            ("current", "in use"),
                            ("replaced", "Replaced"),
                            ("deleted", "Deleted"),
                        ],
                        max_length=10,
                    ),
                ),
                ("source_name", models.CharField(blank=True, db_default="", default="", max_length=255)),
                (
                    "size",
                    models.BigIntegerField(
                        blank=True, help_text="Bytes of the original; NULL until it was measured", null=True
                    ),
                ),
                ("created_by", models.CharField(blank=True, db_default="", default="", max_length=150)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                    ),
                ),
                ("replaced_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "file_versions",
                "ordering": ["video_id", "-number"],
                "default_permissions": (),
            },
        ),
        migrations.AddField(
            model_name="upload",
            name="replaces",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                help_text="The video whose file this replaces",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="videos.video",
            ),
        ),
        migrations.AddField(
            model_name="video",
            name="package_number",
            field=models.IntegerField(blank=True, editable=False, help_text="In the name of its package", null=True),
        ),
        migrations.AddField(
            model_name="video",
            name="source_number",
            field=models.IntegerField(blank=True, editable=False, help_text="The folder of its original", null=True),
        ),
        migrations.AddField(
            model_name="video",
            name="version_of",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                editable=False,
                help_text="The video of which this row holds another version: see file_versions",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="held",
                to="videos.video",
            ),
        ),
        migrations.AddIndex(
            model_name="video",
            index=models.Index(
                condition=models.Q(("version_of__isnull", False)), fields=["version_of"], name="ix_videos_version_of"
            ),
        ),
        migrations.AddConstraint(
            model_name="video",
            constraint=models.UniqueConstraint(
                django.db.models.functions.comparison.Coalesce(
                    "package_number", "id", output_field=models.IntegerField()
                ),
                name="uq_videos_package_number",
            ),
        ),
        migrations.AddConstraint(
            model_name="video",
            constraint=models.CheckConstraint(
                condition=models.Q(("version_of", None), ("visibility", "private"), _connector="OR"),
                name="ck_videos_visibility_of_version",
            ),
        ),
        migrations.AddField(
            model_name="fileversion",
            name="holder",
            field=models.OneToOneField(
                blank=True,
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="held_version",
                to="videos.video",
            ),
        ),
        migrations.AddField(
            model_name="fileversion",
            name="video",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="file_versions",
                to="videos.video",
            ),
        ),
        migrations.AddIndex(
            model_name="fileversion",
            index=models.Index(fields=["replaced_at"], name="ix_file_versions_replaced_at"),
        ),
        migrations.AddConstraint(
            model_name="fileversion",
            constraint=models.UniqueConstraint(fields=("video", "number"), name="uq_file_versions_number"),
        ),
        migrations.AddConstraint(
            model_name="fileversion",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["current", "making"])),
                fields=("video", "state"),
                name="uq_file_versions_state",
            ),
        ),
        migrations.AddConstraint(
            model_name="fileversion",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["making", "current", "replaced", "deleted"])),
                name="ck_file_versions_state",
            ),
        ),
        migrations.AddConstraint(
            model_name="fileversion",
            constraint=models.CheckConstraint(condition=models.Q(("number__gte", 1)), name="ck_file_versions_number"),
        ),
        migrations.AddConstraint(
            model_name="fileversion",
            constraint=models.CheckConstraint(condition=models.Q(("size__gte", 0)), name="ck_file_versions_size"),
        ),
        migrations.AddConstraint(
            model_name="fileversion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("holder__isnull", False), ("state__in", ["making", "replaced"])),
                    models.Q(("holder", None), ("state__in", ["current", "deleted"])),
                    _connector="OR",
                ),
                name="ck_file_versions_state_holder",
            ),
        ),
        migrations.AddConstraint(
            model_name="fileversion",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "replaced"), _negated=True), ("replaced_at__isnull", False), _connector="OR"
                ),
                name="ck_file_versions_replaced",
            ),
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
        migrations.RunSQL(TRIGGER, NO_TRIGGER),
    ]
