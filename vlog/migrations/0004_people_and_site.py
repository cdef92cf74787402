"""Invitations, and the settings of the site and of each person."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

FOREIGN_KEYS = """
ALTER TABLE user_settings ADD CONSTRAINT fk_user_settings_user_id FOREIGN KEY (user_id)
    REFERENCES auth_user (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE invitations ADD CONSTRAINT fk_invitations_invited_by_id FOREIGN KEY (invited_by_id)
    REFERENCES auth_user (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE invitations ADD CONSTRAINT fk_invitations_account_id FOREIGN KEY (account_id)
    REFERENCES auth_user (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
"""
NO_FOREIGN_KEYS = """
ALTER TABLE user_settings DROP CONSTRAINT fk_user_settings_user_id;
ALTER TABLE invitations DROP CONSTRAINT fk_invitations_invited_by_id;
ALTER TABLE invitations DROP CONSTRAINT fk_invitations_account_id;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("vlog", "0003_audit_via"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="UserSettings",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("time_zone", models.CharField(blank=True, db_default="", default="", max_length=64)),
                ("language", models.CharField(blank=True, db_default="", default="", max_length=10)),
            ],
            options={
                "db_table": "user_settings",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="SiteSettings",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(help_text="In titles, feeds, previews of links and e-mails.", max_length=60)),
                (
                    "tagline",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="A sentence about the site, for search engines.",
                        max_length=200,
                    ),
                ),
                ("accent", models.CharField(blank=True, db_default="", default="", max_length=7)),
                ("logo", models.BinaryField(blank=True, editable=True, null=True)),
                (
                    "footer_links",
                    models.JSONField(blank=True, db_default=models.Value([], models.JSONField()), default=list),
                ),
                ("language", models.CharField(max_length=10)),
                ("time_zone", models.CharField(max_length=64)),
            ],
            options={
                "verbose_name": "site",
                "verbose_name_plural": "site",
                "db_table": "site_settings",
                "default_permissions": ("change",),
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("pk", 1)), name="ck_site_settings_id"),
                    models.CheckConstraint(
                        condition=models.Q(("accent__regex", "^(#[0-9a-f]{6})?$")), name="ck_site_settings_accent"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Invitation",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("email", models.EmailField(blank=True, db_default="", default="", max_length=254)),
                ("role", models.CharField(help_text="The name of a group", max_length=20)),
                ("key_hash", models.CharField(editable=False, max_length=64)),
                ("key_prefix", models.CharField(editable=False, max_length=8)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=models.Func(function="NOW", output_field=models.DateTimeField()),
                        default=django.utils.timezone.now,
                        editable=False,
                    ),
                ),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("accepted_at", models.DateTimeField(blank=True, null=True)),
                (
                    "account",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "invited_by",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="invitations",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "invitations",
                "ordering": ["-created_at", "-id"],
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["key_prefix"], name="ix_invitations_key_prefix"),
                    models.Index(fields=["invited_by"], name="ix_invitations_invited_by_id"),
                    models.Index(fields=["account"], name="ix_invitations_account_id"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("revoked_at", None), ("accepted_at", None), _connector="OR"),
                        name="ck_invitations_end",
                    )
                ],
            },
        ),
        migrations.RunSQL(FOREIGN_KEYS, NO_FOREIGN_KEYS),
    ]
