"""The working draft of each caption track, and cues that a person has confirmed."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0026_featured_pictures"),
    ]

    operations = [
        migrations.AddField(
            "captionversion",
            "is_working",
            models.BooleanField(db_default=False, default=False, help_text="The draft that people edit in the desk"),
        ),
        migrations.AddField(
            "captionversion",
            "revision",
            models.IntegerField(db_default=1, default=1, help_text="Counts the changes of a working draft"),
        ),
        migrations.AddField(
            "captionversion",
            "updated_at",
            models.DateTimeField(editable=False, help_text="When the working draft was last saved", null=True),
        ),
        migrations.AddField(
            "cue",
            "checked",
            models.BooleanField(db_default=False, default=False, help_text="A person has confirmed it as it is"),
        ),
        migrations.AlterField(
            "captionversion",
            "cues",
            models.JSONField(
                default=list, help_text="[start, end, text, edited, confidence of each word or null, checked], …"
            ),
        ),
        migrations.AddConstraint(
            "captionversion",
            models.UniqueConstraint(
                condition=models.Q(("is_working", True)), fields=("track",), name="uq_caption_versions_working"
            ),
        ),
        migrations.AddConstraint(
            "captionversion",
            models.CheckConstraint(
                condition=models.Q(("is_working", False), ("state", "draft"), _connector="OR"),
                name="ck_caption_versions_working",
            ),
        ),
        migrations.AddConstraint(
            "captionversion",
            models.CheckConstraint(condition=models.Q(("revision__gte", 1)), name="ck_caption_versions_revision"),
        ),
    ]
