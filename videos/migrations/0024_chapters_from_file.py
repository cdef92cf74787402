from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("videos", "0023_caption_versions"),
    ]

    operations = [
        migrations.AddField(
            model_name="chapter",
            name="from_file",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="They are those of the file, and another file replaces them",
            ),
        ),
    ]
