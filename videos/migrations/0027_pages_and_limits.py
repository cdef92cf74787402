"""The site's own pages, and the categories to which editors are limited."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

FOREIGN_KEYS = """
ALTER TABLE category_limits ADD CONSTRAINT fk_category_limits_user_id FOREIGN KEY (user_id)
    REFERENCES auth_user (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE category_limits ADD CONSTRAINT fk_category_limits_category_id FOREIGN KEY (category_id)
    REFERENCES categories (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE category_limits DROP CONSTRAINT fk_category_limits_user_id;
ALTER TABLE category_limits DROP CONSTRAINT fk_category_limits_category_id;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0026_featured_pictures"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="OwnPage",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("title", models.CharField(max_length=100)),
                (
                    "slug",
                    models.SlugField(
                        db_index=False, help_text="The last part of its address: /page/imprint/.", max_length=100
                    ),
                ),
                (
                    "text",
                    models.TextField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="An empty line begins a paragraph, # a heading, ## a smaller one, - an item of a list. Links: [text](https://example.org), or the address alone.",
                    ),
                ),
                (
                    "in_footer",
                    models.BooleanField(
                        db_default=True,
                        default=True,
                        help_text="Of every page of the site.",
                        verbose_name="link in the footer",
                    ),
                ),
                (
                    "position",
                    models.IntegerField(db_default=0, default=0, help_text="Lower ones come first in the footer."),
                ),
            ],
            options={
                "verbose_name": "page",
                "db_table": "own_pages",
                "ordering": ["position", "title"],
                "constraints": [models.UniqueConstraint(fields=("slug",), name="uq_own_pages_slug")],
            },
        ),
        migrations.CreateModel(
            name="CategoryLimit",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "category",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="videos.category",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="category_limits",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "category_limits",
                "default_permissions": (),
                "indexes": [models.Index(fields=["category"], name="ix_category_limits_category_id")],
                "constraints": [
                    models.UniqueConstraint(fields=("user", "category"), name="uq_category_limits_user_id_category_id")
                ],
            },
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
    ]
