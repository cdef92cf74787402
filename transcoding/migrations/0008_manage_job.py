"""A permission of its own for the control of jobs; until here it was that for changing videos."""

from typing import Any

from django.db import migrations


def grant(apps: Any, schema_editor: Any) -> None:
    """Give it to the groups and users that could control jobs before."""
    model = apps.get_model("contenttypes", "ContentType").objects
    permissions = apps.get_model("auth", "Permission").objects
    job, _ = model.get_or_create(app_label="transcoding", model="transcodingjob")
    manage_job, _ = permissions.get_or_create(
        content_type=job, codename="manage_job", defaults={"name": "Can cancel, retry and re-encode"}
    )
    for change_video in permissions.filter(content_type__app_label="videos", codename="change_video"):
        manage_job.group_set.add(*change_video.group_set.all())
        manage_job.user_set.add(*change_video.user_set.all())


def withdraw(apps: Any, schema_editor: Any) -> None:
    permissions = apps.get_model("auth", "Permission").objects
    permissions.filter(content_type__app_label="transcoding", codename="manage_job").delete()


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("transcoding", "0007_states"),
        ("videos", "0004_roles"),
    ]
    operations = [migrations.RunPython(grant, withdraw)]
