"""Who manages accounts may write the site's own pages, too."""

from typing import Any

from django.db import migrations

PERMISSIONS = {f"{verb}_ownpage": f"Can {verb} page" for verb in ("add", "change", "delete", "view")}


def grant(apps: Any, schema_editor: Any) -> None:
    """Give the permissions to the groups and users that may change accounts."""
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="videos", model="ownpage"
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
    rows = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="videos")
    rows.filter(codename__in=PERMISSIONS).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("videos", "0027_pages_and_limits"),
    ]
    operations = [migrations.RunPython(grant, withdraw)]
