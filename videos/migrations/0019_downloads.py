from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0018_webhooks"),
    ]

    operations = [
        migrations.AddField(
            model_name="video",
            name="downloads",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Everybody who may watch the video gets it as an MP4 file, too.",
                verbose_name="viewers may download it",
            ),
        ),
    ]
