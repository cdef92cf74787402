"""Who manages accounts may change the settings of the site, too."""

from typing import Any

from django.db import migrations

PERMISSIONS = {"change_sitesettings": "Can change site"}


def grant(apps: Any, schema_editor: Any) -> None:
    """Give the permissions to the groups and users that may change accounts."""
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="vlog", model="sitesettings"
    )
    permissions = apps.get_model("auth", "Permission").objects
    for codename, title in PERMISSIONS.items():
        permission, _ = permissions.get_or_create(
            content_type=content_type, codename=codename, defaults={"name": title}
        )
        for change_user in permissions.filter(content_type__app_label="auth", codename="change_user"):
            permission.group_set.add(*change_user.group_set.all())
            permission.user_set.add(*change_user.user_set.all())


def withdraw(apps: Any, schema_editor: Any) -> None:
    rows = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="vlog")
    rows.filter(codename__in=PERMISSIONS).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("vlog", "0004_people_and_site"),
        ("videos", "0004_roles"),  # it makes the group Administrators
    ]
    operations = [migrations.RunPython(grant, withdraw)]
