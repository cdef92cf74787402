"""Imports of files in folders of the operator."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("videos", "0040_notices_of_pages")]

    operations = [
        migrations.AlterField(
            model_name="import",
            name="kind",
            field=models.CharField(
                choices=[("http", "file"), ("store", "object"), ("page", "page"), ("folder", "file of a folder")],
                max_length=10,
            ),
        ),
        migrations.RemoveConstraint(model_name="import", name="ck_imports_kind"),
        migrations.AddConstraint(
            model_name="import",
            constraint=models.CheckConstraint(
                condition=models.Q(kind__in=["http", "store", "page", "folder"]), name="ck_imports_kind"
            ),
        ),
    ]
