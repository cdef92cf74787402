from typing import Any

from django.http import HttpRequest

from vlog import disk
from vlog.accounts.site import AccountPages


class VlogAdminSite(AccountPages):
    """Django's admin with the name of VLog; templates/admin/base_site.html adds the style sheet."""

    site_header = "VLog"
    site_title = "VLog"
    index_title = "Overview"
    site_url = "/"

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add the warning about the disk, which templates/admin/base_site.html shows to staff."""
        warning = disk.usage().warning if self.has_permission(request) else ""
        return {**super().each_context(request), "disk_warning": warning}
