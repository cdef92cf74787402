from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest

from vlog import disk


class VlogAdminSite(AdminSite):
    """The stock admin under our name; templates/admin/base_site.html gives it our style sheet."""

    site_header = "VLog"
    site_title = "VLog"
    index_title = "Overview"
    site_url = "/"

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """With what everybody who enters should know of the disk; templates/admin/base_site.html shows it."""
        warning = disk.usage().warning if self.has_permission(request) else ""
        return {**super().each_context(request), "disk_warning": warning}
