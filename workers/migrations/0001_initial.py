import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import workers.models

# The foreign keys of the fields with db_constraint=False.
# A row deleted by hand, in psql, takes along or lets go what Django's own on_delete would.
FOREIGN_KEYS = """
ALTER TABLE worker_api_keys ADD CONSTRAINT fk_worker_api_keys_worker_id FOREIGN KEY (worker_id)
    REFERENCES workers (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE worker_api_keys DROP CONSTRAINT fk_worker_api_keys_worker_id;
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Worker",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("worker_id", models.CharField(default=workers.models.new_worker_id, editable=False, max_length=36)),
                ("worker_name", models.CharField(blank=True, max_length=100, null=True)),
                (
                    "worker_type",
                    models.CharField(
                        choices=[("local", "Local"), ("remote", "Remote")],
                        db_default="remote",
                        default="remote",
                        max_length=20,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("active", "Active"), ("offline", "Offline"), ("disabled", "Disabled")],
                        db_default="active",
                        default="active",
                        max_length=20,
                    ),
                ),
                ("registered_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("last_heartbeat", models.DateTimeField(blank=True, null=True)),
                ("capabilities", models.JSONField(blank=True, null=True)),
                ("metadata", models.JSONField(blank=True, null=True)),
            ],
            options={
                "db_table": "workers",
                "indexes": [
                    models.Index(fields=["status"], name="ix_workers_status"),
                    models.Index(fields=["last_heartbeat"], name="ix_workers_last_heartbeat"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("worker_id",), name="ix_workers_worker_id"),
                    models.CheckConstraint(
                        condition=models.Q(("status__in", ["active", "offline", "disabled"])), name="ck_workers_status"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("worker_type__in", ["local", "remote"])), name="ck_workers_worker_type"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WorkerApiKey",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "worker",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="api_keys",
                        to="workers.worker",
                    ),
                ),
                ("key_hash", models.CharField(max_length=64)),
                ("key_prefix", models.CharField(max_length=8)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "worker API key",
                "db_table": "worker_api_keys",
                "indexes": [
                    models.Index(fields=["key_prefix"], name="ix_worker_api_keys_key_prefix"),
                    models.Index(fields=["worker"], name="ix_worker_api_keys_worker_id"),
                ],
            },
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
    ]
