"""The views of a video in another installation, which has no sessions here."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("videos", "0036_import_map")]

    operations = [
        migrations.AddField(
            "video",
            "base_views",
            models.IntegerField(db_default=0, default=0, editable=False, help_text="In another installation"),
        ),
        migrations.AddConstraint(
            "video",
            models.CheckConstraint(condition=models.Q(("base_views__gte", 0)), name="ck_videos_base_views"),
        ),
    ]
