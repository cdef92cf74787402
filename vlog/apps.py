from django.apps import AppConfig, apps
from django.conf import settings
from django.contrib.admin import apps as admin_apps
from django.core.checks import register

from vlog import checks, logs, names

OWN_APPS = ("vlog", "videos", "transcoding", "workers", "analytics")


class VlogConfig(AppConfig):
    name = "vlog"
    verbose_name = "VLog"
    default = True

    def ready(self) -> None:
        from vlog import account_changes  # noqa: PLC0415 - it needs the models

        logs.capture(settings.LOG_FORMAT)
        account_changes.connect()
        for check in (checks.check_data_folder, checks.check_rename, checks.check_ffmpeg):
            register(check)


class AdminConfig(admin_apps.AdminConfig):
    default_site = "vlog.admin_site.VlogAdminSite"
    default = False  # this module also has the configuration of "vlog"

    def ready(self) -> None:
        """Translate the names first: the forms that the modules of the admin define take over labels."""
        names.translate(model for label in OWN_APPS for model in apps.get_app_config(label).get_models())
        super().ready()
