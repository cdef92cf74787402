"""The words of a cue with their times."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0023_caption_versions"),
    ]

    operations = [
        migrations.AddField(
            "cue",
            "words",
            models.JSONField(
                blank=True,
                help_text="[[start_ms, end_ms, word, confidence], …]; NULL where they are not known",
                null=True,
            ),
        ),
    ]
