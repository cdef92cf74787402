"""The words of a cue with their times."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0030_search_languages"),
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
