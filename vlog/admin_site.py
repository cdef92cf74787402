from typing import Any

from csp.constants import SELF
from csp.decorators import csp_replace
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.module_loading import import_string
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.clickjacking import xframe_options_sameorigin

from vlog import disk, languages, sidebar, site
from vlog.accounts.site import AccountPages

# By name, because `vlog` imports no other app.
START_PAGE = "videos.admin.start.context"


class VlogAdminSite(AccountPages):
    """Django's admin as the desk of VLog: templates/admin/ has its frame, vlog/sidebar.py its entries."""

    site_header = "VLog"
    site_title = "VLog"
    index_title = _("Start")
    site_url = "/"
    index_template = "admin/start.html"

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Let the desk show its own pages in a frame, which keeps uploads alive: docs/decisions.md. Others may not."""
        framed = csp_replace({"frame-ancestors": [SELF]})(super().admin_view(view, cacheable))
        return xframe_options_sameorigin(framed)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        return super().index(request, {**import_string(START_PAGE)(request), **(extra_context or {})})

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """Return the groups of the sidebar, or Django's list of one app for the page of that app."""
        apps = super().get_app_list(request, app_label)
        return apps if app_label or not self.has_permission(request) else sidebar.groups(self, request, apps)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add what the frame shows: a warning about the disk, the initials of the person, the name in the sidebar."""
        warning = disk.usage().warning if self.has_permission(request) else ""
        context = super().each_context(request)
        entries = [entry for group in context["available_apps"] for entry in group.models]
        place = next((entry.name for entry in entries if entry.current), "")
        name = site.current().name
        return {
            **context,
            "site_header": name,
            "site_title": name,
            "disk_warning": warning,
            "initials": initials(request.user),
            "place": place,
            "words_url": languages.script_url(get_language() or languages.ENGLISH),
        }


def initials(user: Any) -> str:
    """Return the initials of a name: "AK" of Ann Keller, "E" of the username editor."""
    names = [getattr(user, "first_name", ""), getattr(user, "last_name", "")]
    letters = "".join(name[:1] for name in names) or user.get_username()[:1]
    return letters.upper()
