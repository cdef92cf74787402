"""From where something was done: a form, a list, the API, a command, a schedule, a task."""

from django.db import migrations, models

VIA = ["form", "list", "API", "command", "schedule", "task"]


class Migration(migrations.Migration):
    dependencies = [
        ("vlog", "0002_permissions"),
    ]

    operations = [
        migrations.AddField(
            model_name="auditentry",
            name="via",
            field=models.CharField(
                blank=True,
                choices=[
                    ("form", "a form"),
                    ("list", "a list"),
                    ("API", "the API"),
                    ("command", "a command"),
                    ("schedule", "a schedule"),
                    ("task", "a task"),
                ],
                db_default="",
                default="",
                max_length=10,
                verbose_name="from",
            ),
        ),
        migrations.AddConstraint(
            model_name="auditentry",
            constraint=models.CheckConstraint(condition=models.Q(("via__in", ["", *VIA])), name="ck_audit_entries_via"),
        ),
    ]
