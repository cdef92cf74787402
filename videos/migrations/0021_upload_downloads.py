from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("videos", "0020_versions")]

    operations = [
        migrations.AddField("upload", "downloads", models.BooleanField(db_default=False, default=False)),
    ]
