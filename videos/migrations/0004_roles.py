"""Two groups that a new account can be put into: docs/roles.md says what each may do."""

from typing import Any

from django.apps import apps as real_apps
from django.contrib.auth.management import create_permissions
from django.contrib.contenttypes.management import create_contenttypes
from django.db import migrations

APPS = ("auth", "videos", "transcoding", "workers", "analytics")
EVERYTHING = ("add", "change", "delete", "view")
EDITORS = {
    *(f"{verb}_{model}" for verb in EVERYTHING for model in ("video", "category", "tag")),
    *("view_archivedvideo", "change_archivedvideo"),  # to see what is there and to restore it
    *("view_transcription", "change_transcription"),
    *("view_transcodingjob", "view_worker", "view_playbacksession"),
}


def make_groups(apps: Any, schema_editor: Any) -> None:
    for label in APPS:  # Django makes permissions after all migrations: too late for these
        config = real_apps.get_app_config(label)
        create_contenttypes(config, apps=apps, verbosity=0)
        create_permissions(config, apps=apps, verbosity=0)
    permissions = apps.get_model("auth", "Permission").objects.filter(content_type__app_label__in=APPS)
    groups = apps.get_model("auth", "Group").objects
    groups.get_or_create(name="Administrators")[0].permissions.add(*permissions)
    groups.get_or_create(name="Editors")[0].permissions.add(*permissions.filter(codename__in=EDITORS))


def remove_groups(apps: Any, schema_editor: Any) -> None:
    apps.get_model("auth", "Group").objects.filter(name__in=["Administrators", "Editors"]).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("videos", "0003_archived_video"),
        ("transcoding", "0001_initial"),
        ("workers", "0002_current_job"),
        ("analytics", "0001_initial"),
    ]
    operations = [migrations.RunPython(make_groups, remove_groups)]
