import django.contrib.postgres.fields
import django.core.serializers.json
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

# The foreign key of the field with db_constraint=False.
FOREIGN_KEY = """
ALTER TABLE api_tokens ADD CONSTRAINT fk_api_tokens_user_id FOREIGN KEY (user_id)
    REFERENCES auth_user (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEY = "ALTER TABLE api_tokens DROP CONSTRAINT fk_api_tokens_user_id;"

# The pruning sets vlog.pruning for its transaction; even then an entry stays for a day.
KEEP_ENTRIES = """
CREATE FUNCTION keep_audit_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('vlog.pruning', TRUE) = 'on' AND OLD.at < NOW() - INTERVAL '1 day' THEN
        RETURN OLD;
    END IF;
    RAISE restrict_violation USING
        MESSAGE = 'Entries of the audit log cannot be changed or deleted; old ones are pruned (VLOG_AUDIT_DAYS).',
        CONSTRAINT = 'tr_audit_entries_kept', TABLE = 'audit_entries';
END $$;
CREATE TRIGGER tr_audit_entries_kept BEFORE UPDATE OR DELETE ON audit_entries FOR EACH ROW
    EXECUTE FUNCTION keep_audit_entries();
"""
NO_KEEPING = """
DROP TRIGGER tr_audit_entries_kept ON audit_entries;
DROP FUNCTION keep_audit_entries();
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                        editable=False,
                        verbose_name="when",
                    ),
                ),
                ("action", models.CharField(max_length=50)),
                ("actor", models.CharField(blank=True, db_default="", default="", max_length=150)),
                ("actor_id", models.IntegerField(blank=True, null=True)),
                ("token_prefix", models.CharField(blank=True, db_default="", default="", max_length=8)),
                ("address", models.GenericIPAddressField(blank=True, null=True)),
                ("subject_type", models.CharField(blank=True, db_default="", default="", max_length=100)),
                ("subject_id", models.CharField(blank=True, db_default="", default="", max_length=50)),
                ("subject", models.CharField(blank=True, db_default="", default="", max_length=255)),
                (
                    "before",
                    models.JSONField(blank=True, encoder=django.core.serializers.json.DjangoJSONEncoder, null=True),
                ),
                (
                    "after",
                    models.JSONField(blank=True, encoder=django.core.serializers.json.DjangoJSONEncoder, null=True),
                ),
            ],
            options={
                "verbose_name_plural": "audit log entries",
                "db_table": "audit_entries",
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["-at", "-id"], name="ix_audit_entries_at"),
                    models.Index(fields=["subject_type", "subject_id", "-at"], name="ix_audit_entries_subject"),
                    models.Index(fields=["actor", "-at"], name="ix_audit_entries_actor"),
                    models.Index(fields=["action", "-at"], name="ix_audit_entries_action"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ApiToken",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(blank=True, db_default="", default="", max_length=100)),
                ("key_hash", models.CharField(editable=False, max_length=64)),
                ("key_prefix", models.CharField(editable=False, max_length=8)),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[("read", "Read"), ("edit", "Edit"), ("upload", "Upload")], max_length=10
                        ),
                        size=None,
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="api_tokens",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "API token",
                "db_table": "api_tokens",
                "permissions": [("manage_api_tokens", "Can see, revoke and delete the API tokens of others")],
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["key_prefix"], name="ix_api_tokens_key_prefix"),
                    models.Index(fields=["user"], name="ix_api_tokens_user_id"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("scopes__contained_by", ["read", "edit", "upload"]),
                            models.Q(("scopes", []), _negated=True),
                        ),
                        name="ck_api_tokens_scopes",
                    )
                ],
            },
        ),
        migrations.RunSQL(FOREIGN_KEY, NO_FOREIGN_KEY),
        migrations.RunSQL(KEEP_ENTRIES, NO_KEEPING),
    ]
