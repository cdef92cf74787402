"""The API tokens of people: create, find, revoke. docs/api.md is the manual."""

from collections.abc import Collection
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from vlog import audit, keys
from vlog.models import ApiToken, ApiTokenQuerySet


def create(user: User, scopes: Collection[str], name: str = "", days: int | None = None) -> tuple[str, ApiToken]:
    """Make a token that expires after so many days or never; returns it and its row. It is shown only now."""
    expires_at = None if days is None else timezone.now() + timedelta(days=days)
    with transaction.atomic():
        token, row = ApiToken.objects.issue(user, scopes, name, expires_at)
        facts = {"owner": user.get_username(), "name": name, "scopes": row.scopes, "expires_at": expires_at}
        audit.record("created", subject=row, after=facts)
    return token, row


def find(token: str) -> ApiToken | None:
    """Return the row of a token, valid or not, with its owner."""
    if not keys.is_well_formed(token):
        return None
    rows = ApiToken.objects.filter(key_prefix=keys.prefix(token)).select_related("user")
    return keys.matching(token, rows)


def revoke(tokens: ApiTokenQuerySet) -> list[ApiToken]:
    """Revoke tokens, and return those that were not revoked before."""
    with transaction.atomic():
        rows = list(tokens.filter(revoked_at=None).select_related("user").select_for_update(of=("self",)))
        ApiToken.objects.filter(pk__in=[row.pk for row in rows]).revoke()
        for row in rows:
            audit.record("revoked", subject=row, before={"owner": row.user.get_username(), "name": row.name})
    return rows
