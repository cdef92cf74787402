"""The models of the project itself: the audit log, and the tokens of the HTTP API."""

from vlog.models.audit import AuditEntry, Via
from vlog.models.tokens import ApiToken, ApiTokenQuerySet, Scope

__all__ = ["ApiToken", "ApiTokenQuerySet", "AuditEntry", "Scope", "Via"]
