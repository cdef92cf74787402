"""The pages of the project's own models in the admin."""

from vlog.accounts.admin import AccountAdmin, RoleAdmin
from vlog.admin_audit import AuditEntryAdmin
from vlog.admin_tokens import ApiTokenAdmin

__all__ = ["AccountAdmin", "ApiTokenAdmin", "AuditEntryAdmin", "RoleAdmin"]
