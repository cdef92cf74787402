from typing import Any

from django.http import HttpRequest

from vlog import disk, sidebar
from vlog.accounts.site import AccountPages


class VlogAdminSite(AccountPages):
    """Django's admin as the desk of VLog: templates/admin/ has its frame, vlog/sidebar.py its entries."""

    site_header = "VLog"
    site_title = "VLog"
    index_title = "Start"
    site_url = "/"

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """Return the groups of the sidebar, or Django's list of one app for the page of that app."""
        apps = super().get_app_list(request, app_label)
        return apps if app_label or not self.has_permission(request) else sidebar.groups(self, request, apps)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add the warning about the disk and the initials of the person, which the frame of the desk shows."""
        warning = disk.usage().warning if self.has_permission(request) else ""
        return {**super().each_context(request), "disk_warning": warning, "initials": initials(request.user)}


def initials(user: Any) -> str:
    """Return the initials of a name: "AK" of Ann Keller, "E" of the username editor."""
    names = [getattr(user, "first_name", ""), getattr(user, "last_name", "")]
    letters = "".join(name[:1] for name in names) or user.get_username()[:1]
    return letters.upper()
