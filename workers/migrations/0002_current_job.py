import django.db.models.deletion
from django.db import migrations, models

# The foreign keys of the fields with db_constraint=False.
# A row deleted by hand, in psql, takes along or lets go what Django's own on_delete would.
FOREIGN_KEYS = """
ALTER TABLE workers ADD CONSTRAINT fk_workers_current_job_id FOREIGN KEY (current_job_id)
    REFERENCES transcoding_jobs (id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE workers DROP CONSTRAINT fk_workers_current_job_id;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("transcoding", "0001_initial"),
        ("workers", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="worker",
            name="current_job",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="current_workers",
                to="transcoding.transcodingjob",
            ),
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
    ]
