"""Playlists, their videos in order, and their old slugs."""

from typing import Any

import django.db.models.constraints
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

FOREIGN_KEYS = """
ALTER TABLE playlists ADD CONSTRAINT fk_playlists_poster_video_id FOREIGN KEY (poster_video_id)
    REFERENCES videos (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE playlist_items ADD CONSTRAINT fk_playlist_items_playlist_id FOREIGN KEY (playlist_id)
    REFERENCES playlists (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE playlist_items ADD CONSTRAINT fk_playlist_items_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE playlist_slugs ADD CONSTRAINT fk_playlist_slugs_playlist_id FOREIGN KEY (playlist_id)
    REFERENCES playlists (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE playlist_slugs DROP CONSTRAINT fk_playlist_slugs_playlist_id;
ALTER TABLE playlist_items DROP CONSTRAINT fk_playlist_items_video_id;
ALTER TABLE playlist_items DROP CONSTRAINT fk_playlist_items_playlist_id;
ALTER TABLE playlists DROP CONSTRAINT fk_playlists_poster_video_id;
"""

# As with categories: see 0017_old_slugs and 0020_versions. What is in a playlist counts for its version, once for each
# statement: a video that is moved changes the positions of many.
COLUMNS = ("title", "slug", "description", "visibility", "poster_video_id")
NEW, OLD = (", ".join(f"{row}.{column}" for column in COLUMNS) for row in ("NEW", "OLD"))
TRIGGERS = """
CREATE TRIGGER tr_playlists_old_slug AFTER UPDATE OF slug ON playlists
    FOR EACH ROW WHEN (OLD.slug <> NEW.slug) EXECUTE FUNCTION keep_old_slug('playlist_slugs', 'playlist_id');
CREATE TRIGGER tr_playlists_slug AFTER INSERT OR UPDATE OF slug ON playlists
    FOR EACH ROW EXECUTE FUNCTION forget_old_slug('playlist_slugs');

CREATE FUNCTION count_version_of_playlist() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    NEW.updated_at := STATEMENT_TIMESTAMP();
    RETURN NEW;
END $$;
CREATE TRIGGER tr_playlists_version_kept BEFORE UPDATE OF version ON playlists FOR EACH ROW
    WHEN (NEW.version BETWEEN 1 AND OLD.version - 1) EXECUTE FUNCTION count_version('0');

CREATE FUNCTION count_version_by_items() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE playlists SET version = version + 1 WHERE id IN (SELECT playlist_id FROM changed);
    RETURN NULL;
END $$;
CREATE TRIGGER tr_playlist_items_added AFTER INSERT ON playlist_items
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_version_by_items();
CREATE TRIGGER tr_playlist_items_moved AFTER UPDATE ON playlist_items
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_version_by_items();
CREATE TRIGGER tr_playlist_items_removed AFTER DELETE ON playlist_items
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_version_by_items();
"""
VERSION = f"""
CREATE TRIGGER tr_playlists_version BEFORE UPDATE OF version, {", ".join(COLUMNS)} ON playlists FOR EACH ROW
    WHEN (NEW.version > OLD.version OR ROW({NEW}) IS DISTINCT FROM ROW({OLD}))
    EXECUTE FUNCTION count_version_of_playlist();
"""
NO_TRIGGERS = """
DROP TRIGGER tr_playlist_items_removed ON playlist_items;
DROP TRIGGER tr_playlist_items_moved ON playlist_items;
DROP TRIGGER tr_playlist_items_added ON playlist_items;
DROP FUNCTION count_version_by_items();
DROP TRIGGER tr_playlists_version_kept ON playlists;
DROP TRIGGER tr_playlists_version ON playlists;
DROP FUNCTION count_version_of_playlist();
DROP TRIGGER tr_playlists_slug ON playlists;
DROP TRIGGER tr_playlists_old_slug ON playlists;
"""

# An earlier release knows no such edits.
NO_EDITS = """
DELETE FROM bulk_edits WHERE action IN ('add_to_playlist', 'remove_from_playlist', 'feature', 'unfeature');
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
"""

VERBS = ("add", "change", "delete", "view")


def grant(apps: Any, schema_editor: Any) -> None:
    """Give the rights to the groups and users that have the same right to categories."""
    types = apps.get_model("contenttypes", "ContentType").objects
    permissions = apps.get_model("auth", "Permission").objects
    content_type, _ = types.get_or_create(app_label="videos", model="playlist")
    for verb in VERBS:
        permission, _ = permissions.get_or_create(
            content_type=content_type, codename=f"{verb}_playlist", defaults={"name": f"Can {verb} playlist"}
        )
        for same in permissions.filter(content_type__app_label="videos", codename=f"{verb}_category"):
            permission.group_set.add(*same.group_set.all())
            permission.user_set.add(*same.user_set.all())


def withdraw(apps: Any, schema_editor: Any) -> None:
    rights = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="videos")
    rights.filter(content_type__model="playlist").delete()


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("videos", "0024_chapters_from_file"),
    ]

    operations = [
        migrations.CreateModel(
            name="Playlist",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("title", models.CharField(max_length=255)),
                (
                    "slug",
                    models.SlugField(
                        blank=True,
                        db_index=False,
                        help_text="The last part of its address. Old addresses lead to the present one.",
                        max_length=255,
                    ),
                ),
                ("description", models.TextField(blank=True, db_default="", default="")),
                (
                    "visibility",
                    models.CharField(
                        choices=[("private", "Private"), ("unlisted", "Unlisted"), ("public", "Public")],
                        db_default="private",
                        default="private",
                        max_length=10,
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
                (
                    "updated_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                        editable=False,
                    ),
                ),
                ("version", models.IntegerField(db_default=1, default=1, editable=False, help_text="Counts its edits")),
            ],
            options={
                "db_table": "playlists",
                "ordering": ["title", "id"],
            },
        ),
        migrations.CreateModel(
            name="PlaylistItem",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("position", models.IntegerField()),
            ],
            options={
                "db_table": "playlist_items",
                "ordering": ["playlist_id", "position"],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="PlaylistSlug",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("slug", models.CharField(max_length=255)),
            ],
            options={
                "db_table": "playlist_slugs",
                "default_permissions": (),
            },
        ),
        migrations.RemoveConstraint(
            model_name="bulkedit",
            name="ck_bulk_edits_action",
        ),
        migrations.AlterField(
            model_name="bulkedit",
            name="action",
            field=models.CharField(
                choices=[
                    ("visibility", "Visibility"),
                    ("category", "Category"),
                    ("add_tags", "Add Tags"),
                    ("remove_tags", "Remove Tags"),
                    ("add_to_playlist", "Add To Playlist"),
                    ("remove_from_playlist", "Remove From Playlist"),
                    ("feature", "Feature"),
                    ("unfeature", "Unfeature"),
                    ("transcribe", "Transcribe"),
                    ("encode", "Encode"),
                    ("archive", "Archive"),
                ],
                max_length=20,
            ),
        ),
        migrations.AddConstraint(
            model_name="bulkedit",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "action__in",
                        [
                            "visibility",
                            "category",
                            "add_tags",
                            "remove_tags",
                            "add_to_playlist",
                            "remove_from_playlist",
                            "feature",
                            "unfeature",
                            "transcribe",
                            "encode",
                            "archive",
                        ],
                    )
                ),
                name="ck_bulk_edits_action",
            ),
        ),
        migrations.AddField(
            model_name="playlist",
            name="poster_video",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                help_text="Whose poster stands for the playlist. If empty, that of its first video.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="videos.video",
            ),
        ),
        migrations.AddField(
            model_name="playlistitem",
            name="playlist",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="items",
                to="videos.playlist",
            ),
        ),
        migrations.AddField(
            model_name="playlistitem",
            name="video",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="playlist_items",
                to="videos.video",
            ),
        ),
        migrations.AddField(
            model_name="playlist",
            name="videos",
            field=models.ManyToManyField(related_name="playlists", through="videos.PlaylistItem", to="videos.video"),
        ),
        migrations.AddField(
            model_name="playlistslug",
            name="playlist",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="old_slugs",
                to="videos.playlist",
            ),
        ),
        migrations.AddIndex(
            model_name="playlistitem",
            index=models.Index(fields=["video"], name="ix_playlist_items_video_id"),
        ),
        migrations.AddConstraint(
            model_name="playlistitem",
            constraint=models.UniqueConstraint(fields=("playlist", "video"), name="uq_playlist_items_video"),
        ),
        migrations.AddConstraint(
            model_name="playlistitem",
            constraint=models.UniqueConstraint(
                deferrable=django.db.models.constraints.Deferrable["DEFERRED"],
                fields=("playlist", "position"),
                name="uq_playlist_items_position",
            ),
        ),
        migrations.AddConstraint(
            model_name="playlistitem",
            constraint=models.CheckConstraint(
                condition=models.Q(("position__gte", 1)), name="ck_playlist_items_position"
            ),
        ),
        migrations.AddIndex(
            model_name="playlist",
            index=models.Index(fields=["poster_video"], name="ix_playlists_poster_video_id"),
        ),
        migrations.AddConstraint(
            model_name="playlist",
            constraint=models.UniqueConstraint(fields=("slug",), name="uq_playlists_slug"),
        ),
        migrations.AddConstraint(
            model_name="playlist",
            constraint=models.CheckConstraint(
                condition=models.Q(("visibility__in", ["private", "unlisted", "public"])),
                name="ck_playlists_visibility",
            ),
        ),
        migrations.AddConstraint(
            model_name="playlist",
            constraint=models.CheckConstraint(condition=models.Q(("version__gte", 1)), name="ck_playlists_version"),
        ),
        migrations.AddIndex(
            model_name="playlistslug",
            index=models.Index(fields=["playlist"], name="ix_playlist_slugs_playlist_id"),
        ),
        migrations.AddConstraint(
            model_name="playlistslug",
            constraint=models.UniqueConstraint(fields=("slug",), name="uq_playlist_slugs_slug"),
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
        migrations.RunSQL(TRIGGERS + VERSION, NO_TRIGGERS),
        migrations.RunPython(grant, withdraw),
        migrations.RunSQL(migrations.RunSQL.noop, NO_EDITS),
    ]
