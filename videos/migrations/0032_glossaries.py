"""Names and terms for Whisper, of categories and of videos."""

from django.db import migrations, models


def glossary(text: str) -> "models.CharField[str, str]":
    return models.CharField(blank=True, db_default="", default="", help_text=text, max_length=400)


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0031_words"),
    ]

    operations = [
        migrations.AddField(
            "category", "glossary", glossary("Names and terms of its videos as they are spelled, for Whisper")
        ),
        migrations.AddField("transcription", "glossary", glossary("Names and terms as they are spelled")),
    ]
