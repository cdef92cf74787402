"""The models of the project itself: the audit log, tokens of the HTTP API, invitations, and settings in the admin."""

from vlog.models.audit import AuditEntry, Via
from vlog.models.invitations import Invitation, InvitationQuerySet
from vlog.models.site import FIRST_NAME, SiteSettings, UserSettings
from vlog.models.tokens import ApiToken, ApiTokenQuerySet, Scope

__all__ = [
    "FIRST_NAME",
    "ApiToken",
    "ApiTokenQuerySet",
    "AuditEntry",
    "Invitation",
    "InvitationQuerySet",
    "Scope",
    "SiteSettings",
    "UserSettings",
    "Via",
]
