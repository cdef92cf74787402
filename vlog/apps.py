from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class VlogConfig(AppConfig):
    name = "vlog"
    verbose_name = "VLog"
    default = True


class AdminConfig(admin_apps.AdminConfig):
    default_site = "vlog.admin_site.VlogAdminSite"
    default = False  # the module is asked for the configuration of "vlog", too
