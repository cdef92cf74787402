"""Who manages accounts may read the audit log, and manage the API tokens of others."""

from typing import Any

from django.db import migrations

PERMISSIONS = {
    ("auditentry", "view_auditentry"): "Can view audit entry",
    ("apitoken", "manage_api_tokens"): "Can see, revoke and delete the API tokens of others",
}


def grant(apps: Any, schema_editor: Any) -> None:
    """Give the permissions to the groups and users that may change accounts."""
    model = apps.get_model("contenttypes", "ContentType").objects
    permissions = apps.get_model("auth", "Permission").objects
    for (name, codename), title in PERMISSIONS.items():
        content_type, _ = model.get_or_create(app_label="vlog", model=name)
        permission, _ = permissions.get_or_create(
            content_type=content_type, codename=codename, defaults={"name": title}
        )
        for change_user in permissions.filter(content_type__app_label="auth", codename="change_user"):
            permission.group_set.add(*change_user.group_set.all())
            permission.user_set.add(*change_user.user_set.all())


def withdraw(apps: Any, schema_editor: Any) -> None:
    apps.get_model("auth", "Permission").objects.filter(content_type__app_label="vlog").delete()


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("vlog", "0001_audit_and_tokens"),
        ("videos", "0004_roles"),  # it makes the group Administrators
    ]
    operations = [migrations.RunPython(grant, withdraw)]
