"""Authentication of programs by the API tokens of people."""

from typing import Any

from django.contrib.auth.models import User
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, ParseError, PermissionDenied
from rest_framework.request import Request

from vlog import tokens
from vlog.models import ApiToken

IN_ADDRESS = ("token", "access_token", "api_token")  # parameters that would put a token into logs and histories
REFUSED_IN_ADDRESS = (
    "A token in the address is refused, because addresses are logged. Revoke this token, and send a new one in the "
    "header Authorization: Bearer TOKEN."
)
ADVICE = "Create another one in the admin, under API tokens."


class TokenAuthentication(BaseAuthentication):
    """Authenticates `Authorization: Bearer TOKEN`: request.user is the owner, request.auth the row of the token.

    A view admits tokens if it names the scope that they need, or several of which one is enough: `token_scope`. What
    the owner may do is left to the view's permissions, as for a session.
    """

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        if any(name in request.query_params for name in IN_ADDRESS):
            raise ParseError(REFUSED_IN_ADDRESS)
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        row = tokens.find(token.strip())
        if row is None:
            raise AuthenticationFailed(f"This token is unknown. {ADVICE}")
        if reason := _why_invalid(row):
            raise AuthenticationFailed(reason)
        _check_scope(row, request.parser_context["view"])
        row.record_use()
        return row.user, row

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def _why_invalid(row: ApiToken) -> str:
    """Return why a token does not authenticate its owner; empty if it does."""
    if row.revoked_at is not None:
        return f"This token was revoked on {row.revoked_at:%Y-%m-%d}. {ADVICE}"
    if row.has_expired:
        return f"This token expired on {row.expires_at:%Y-%m-%d}. {ADVICE}"
    return "" if row.user.is_active else "The account of this token is not active. An administrator can activate it."


def _check_scope(row: ApiToken, view: Any) -> None:
    scope = getattr(view, "token_scope", None)
    if scope is None:
        raise PermissionDenied("This call does not take tokens. Log in instead.")
    scopes = scope if isinstance(scope, tuple) else (scope,)
    if set(scopes).isdisjoint(row.scopes):
        raise PermissionDenied(f"This token does not have the scope {' or '.join(scopes)}. Create a token with it.")
