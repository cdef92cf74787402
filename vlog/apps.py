from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin import apps as admin_apps
from django.core.checks import register

from vlog import checks, logs


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
