"""What other apps give the account of an invitation, such as the categories to which it is limited."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("vlog", "0006_notices_of_pages"),
    ]

    operations = [
        migrations.AddField(
            model_name="invitation",
            name="details",
            field=models.JSONField(
                blank=True,
                db_default=models.Value({}, models.JSONField()),
                default=dict,
                help_text="What other apps give the account",
            ),
        ),
    ]
