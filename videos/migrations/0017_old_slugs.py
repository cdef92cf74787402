"""The slugs of before, whose addresses lead to the present ones, written by triggers."""

import django.db.models.deletion
from django.db import migrations, models

SLUG_HELP = "The last part of its address. Old addresses lead to the present one."
KINDS = {"videos": "video", "categories": "category", "tags": "tag"}

# What an archived video is called meanwhile is no address, and its own slug is free for others until it is restored.
CHANGED = {"videos": "OLD.slug <> NEW.slug AND OLD.deleted_at IS NULL AND NEW.deleted_at IS NULL"}

FUNCTIONS = """
CREATE FUNCTION keep_old_slug() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %1$I (slug, %2$I) VALUES ($1, $2) ON CONFLICT (slug) DO UPDATE SET %2$I = $2',
                   TG_ARGV[0], TG_ARGV[1]) USING OLD.slug, OLD.id;
    RETURN NULL;
END $$;
CREATE FUNCTION forget_old_slug() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DELETE FROM %I WHERE slug = $1', TG_ARGV[0]) USING NEW.slug;
    RETURN NULL;
END $$;
"""
NO_FUNCTIONS = """
DROP FUNCTION forget_old_slug();
DROP FUNCTION keep_old_slug();
"""


def of_each(sql: str) -> str:
    """Return this SQL for each kind of address."""
    names = (
        {
            "table": table,
            "old": f"{kind}_slugs",
            "row": f"{kind}_id",
            "changed": CHANGED.get(table, "OLD.slug <> NEW.slug"),
        }
        for table, kind in KINDS.items()
    )
    return "".join(sql.format(**each) for each in names)


# A trigger writes what a verb could forget. The names say the order in which the triggers of one statement run.
TRIGGERS = of_each("""
ALTER TABLE {old} ADD CONSTRAINT fk_{old}_{row} FOREIGN KEY ({row})
    REFERENCES {table} (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
CREATE TRIGGER tr_{table}_old_slug AFTER UPDATE OF slug ON {table}
    FOR EACH ROW WHEN ({changed}) EXECUTE FUNCTION keep_old_slug('{old}', '{row}');
CREATE TRIGGER tr_{table}_slug AFTER INSERT OR UPDATE OF slug ON {table}
    FOR EACH ROW EXECUTE FUNCTION forget_old_slug('{old}');
""")
NO_TRIGGERS = of_each("""
DROP TRIGGER tr_{table}_slug ON {table};
DROP TRIGGER tr_{table}_old_slug ON {table};
ALTER TABLE {old} DROP CONSTRAINT fk_{old}_{row};
""")


def old_slugs(model: str, kind: str) -> migrations.CreateModel:
    row = models.ForeignKey(
        db_constraint=False,
        db_index=False,
        on_delete=django.db.models.deletion.CASCADE,
        related_name="old_slugs",
        to=f"videos.{kind}",
    )
    options = {
        "db_table": f"{kind}_slugs",
        "default_permissions": (),
        "indexes": [models.Index(fields=[kind], name=f"ix_{kind}_slugs_{kind}_id")],
        "constraints": [models.UniqueConstraint(fields=("slug",), name=f"uq_{kind}_slugs_slug")],
    }
    fields = [
        ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
        ("slug", models.CharField(max_length=255)),
        (kind, row),
    ]
    return migrations.CreateModel(name=model, fields=fields, options=options)


class Migration(migrations.Migration):
    dependencies = [("videos", "0016_file_versions")]

    operations = [
        old_slugs("VideoSlug", "video"),
        old_slugs("CategorySlug", "category"),
        old_slugs("TagSlug", "tag"),
        migrations.RunSQL(FUNCTIONS, NO_FUNCTIONS),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
        migrations.AlterField(
            model_name="video",
            name="slug",
            field=models.SlugField(
                db_index=False,
                help_text="The last part of its address. It follows the title until the video is first public. Old addresses "
                "lead to the present one.",
                max_length=255,
            ),
        ),
        migrations.AlterField(
            model_name="category",
            name="slug",
            field=models.SlugField(blank=True, db_index=False, help_text=SLUG_HELP, max_length=100),
        ),
        migrations.AlterField(
            model_name="tag",
            name="slug",
            field=models.SlugField(blank=True, db_index=False, help_text=SLUG_HELP),
        ),
    ]
