"""Featured videos, the order of categories, and pictures of categories and playlists."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

FOREIGN_KEYS = """
ALTER TABLE featured_videos ADD CONSTRAINT fk_featured_videos_video_id FOREIGN KEY (video_id)
    REFERENCES videos (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE pictures ADD CONSTRAINT fk_pictures_category_id FOREIGN KEY (category_id)
    REFERENCES categories (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE pictures ADD CONSTRAINT fk_pictures_playlist_id FOREIGN KEY (playlist_id)
    REFERENCES playlists (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE pictures DROP CONSTRAINT fk_pictures_playlist_id;
ALTER TABLE pictures DROP CONSTRAINT fk_pictures_category_id;
ALTER TABLE featured_videos DROP CONSTRAINT fk_featured_videos_video_id;
"""


class Migration(migrations.Migration):
    dependencies = [("videos", "0025_playlists")]

    operations = [
        migrations.CreateModel(
            name="FeaturedVideo",
            fields=[
                (
                    "video",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="featured",
                        serialize=False,
                        to="videos.video",
                    ),
                ),
                (
                    "featured_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                    ),
                ),
            ],
            options={
                "db_table": "featured_videos",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Picture",
            fields=[
                ("key", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("jpeg", models.BinaryField()),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                    ),
                ),
            ],
            options={
                "db_table": "pictures",
                "default_permissions": (),
            },
        ),
        migrations.AlterModelOptions(
            name="category",
            options={
                "ordering": [models.OrderBy(models.F("position"), nulls_last=True), "name", "id"],
                "verbose_name_plural": "categories",
            },
        ),
        migrations.AddField(
            model_name="category",
            name="position",
            field=models.IntegerField(
                blank=True, editable=False, help_text="In lists; NULL: by name, at the end", null=True
            ),
        ),
        migrations.AddField(
            model_name="picture",
            name="category",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="pictures",
                to="videos.category",
            ),
        ),
        migrations.AddField(
            model_name="picture",
            name="playlist",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="pictures",
                to="videos.playlist",
            ),
        ),
        migrations.AddConstraint(
            model_name="picture",
            constraint=models.UniqueConstraint(fields=("category",), name="uq_pictures_category_id"),
        ),
        migrations.AddConstraint(
            model_name="picture",
            constraint=models.UniqueConstraint(fields=("playlist",), name="uq_pictures_playlist_id"),
        ),
        migrations.AddConstraint(
            model_name="picture",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("category", None), ("playlist__isnull", False)),
                    models.Q(("category__isnull", False), ("playlist", None)),
                    _connector="OR",
                ),
                name="ck_pictures_owner",
            ),
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
    ]
