"""Saved views and bulk edits of the list of videos, and the index by which it finds its pages."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

FOREIGN_KEYS = """
ALTER TABLE saved_views ADD CONSTRAINT fk_saved_views_user_id FOREIGN KEY (user_id)
    REFERENCES auth_user (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE bulk_edits ADD CONSTRAINT fk_bulk_edits_user_id FOREIGN KEY (user_id)
    REFERENCES auth_user (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE bulk_edit_items ADD CONSTRAINT fk_bulk_edit_items_edit_id FOREIGN KEY (edit_id)
    REFERENCES bulk_edits (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE bulk_edit_items ADD CONSTRAINT fk_bulk_edit_items_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE bulk_edit_items DROP CONSTRAINT fk_bulk_edit_items_video_id;
ALTER TABLE bulk_edit_items DROP CONSTRAINT fk_bulk_edit_items_edit_id;
ALTER TABLE bulk_edits DROP CONSTRAINT fk_bulk_edits_user_id;
ALTER TABLE saved_views DROP CONSTRAINT fk_saved_views_user_id;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0021_upload_downloads"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="BulkEdit",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("visibility", "Visibility"),
                            ("category", "Category"),
                            ("add_tags", "Add Tags"),
                            ("remove_tags", "Remove Tags"),
                            ("transcribe", "Transcribe"),
                            ("encode", "Encode"),
                            ("archive", "Archive"),
                        ],
                        max_length=20,
                    ),
                ),
                ("parameters", models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                    ),
                ),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("undone_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "db_table": "bulk_edits",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="BulkItem",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("version", models.IntegerField(blank=True, null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("changed", "Changed"),
                            ("skipped", "Skipped"),
                            ("restored", "Restored"),
                        ],
                        db_default="pending",
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("before", models.JSONField(blank=True, null=True)),
                ("reason", models.CharField(blank=True, db_default="", default="", max_length=300)),
            ],
            options={
                "db_table": "bulk_edit_items",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=60)),
                (
                    "query",
                    models.CharField(
                        help_text="The part of the list's address after the question mark", max_length=1000
                    ),
                ),
            ],
            options={
                "db_table": "saved_views",
                "ordering": ["name"],
                "default_permissions": (),
            },
        ),
        migrations.AddIndex(
            model_name="video",
            index=models.Index(
                models.OrderBy(models.F("created_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(("deleted_at", None), ("version_of", None)),
                name="ix_videos_list",
            ),
        ),
        migrations.AddField(
            model_name="bulkedit",
            name="user",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="bulkitem",
            name="edit",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="items",
                to="videos.bulkedit",
            ),
        ),
        migrations.AddField(
            model_name="bulkitem",
            name="video",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="videos.video",
            ),
        ),
        migrations.AddField(
            model_name="savedview",
            name="user",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="saved_views",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddIndex(
            model_name="bulkedit",
            index=models.Index(
                condition=models.Q(("finished_at", None)), fields=["id"], name="ix_bulk_edits_unfinished"
            ),
        ),
        migrations.AddIndex(
            model_name="bulkedit",
            index=models.Index(fields=["user", "created_at"], name="ix_bulk_edits_user_id"),
        ),
        migrations.AddConstraint(
            model_name="bulkedit",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "action__in",
                        ["visibility", "category", "add_tags", "remove_tags", "transcribe", "encode", "archive"],
                    )
                ),
                name="ck_bulk_edits_action",
            ),
        ),
        migrations.AddIndex(
            model_name="bulkitem",
            index=models.Index(fields=["edit", "state"], name="ix_bulk_edit_items_edit_id"),
        ),
        migrations.AddIndex(
            model_name="bulkitem",
            index=models.Index(fields=["video"], name="ix_bulk_edit_items_video_id"),
        ),
        migrations.AddConstraint(
            model_name="bulkitem",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["pending", "changed", "skipped", "restored"])),
                name="ck_bulk_edit_items_state",
            ),
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.UniqueConstraint(fields=("user", "name"), name="uq_saved_views_user_id_name"),
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
    ]
