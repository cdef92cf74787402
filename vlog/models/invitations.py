"""Invitations of people: docs/schema.md describes the table."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.db.models import Q, Value
from django.utils import timezone

from vlog import keys
from vlog.schema import NOW


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def issue(self, invited_by: User, **facts: Any) -> tuple[str, "Invitation"]:
        """Make an invitation; returns its token and its row. The token is not stored, so it cannot be shown again."""
        token = keys.new()
        hashed = {"key_hash": keys.digest(token), "key_prefix": keys.prefix(token)}
        return token, self.create(invited_by=invited_by, **facts, **hashed)

    def open(self) -> "InvitationQuerySet":
        """Return the invitations that can be accepted."""
        return self.filter(revoked_at=None, accepted_at=None, expires_at__gt=timezone.now())

    def find(self, token: str) -> "Invitation | None":
        """Return the open invitation with this token."""
        if not keys.is_well_formed(token):
            return None
        return keys.matching(token, self.open().filter(key_prefix=keys.prefix(token)))


class Invitation(models.Model):
    """The SHA-256 of a link with which one person makes an account of their own.

    open ──▶ accepted   once, by the person who has the link
      ├────▶ revoked    by a person who manages accounts
      └────▶ expired    at `expires_at`

    The person who invites must be allowed to give the role, also at the moment at which it is accepted.
    """

    email = models.EmailField(blank=True, default="", db_default="")
    role = models.CharField(max_length=20, help_text="The name of a group")
    details = models.JSONField(
        blank=True, default=dict, db_default=Value({}, models.JSONField()), help_text="What other apps give the account"
    )
    key_hash = models.CharField(max_length=64, editable=False)
    key_prefix = models.CharField(max_length=8, editable=False)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="invitations", db_constraint=False, db_index=False
    )
    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="+",
        db_constraint=False, db_index=False,
    )  # fmt: skip
    created_at = models.DateTimeField(default=timezone.now, db_default=NOW, editable=False)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        db_table = "invitations"
        default_permissions = ()  # who may add accounts may invite
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["key_prefix"], name="ix_invitations_key_prefix"),  # the page of a link
            models.Index(fields=["invited_by"], name="ix_invitations_invited_by_id"),  # ON DELETE
            models.Index(fields=["account"], name="ix_invitations_account_id"),  # ON DELETE
        ]
        constraints = [
            models.CheckConstraint(condition=Q(revoked_at=None) | Q(accepted_at=None), name="ck_invitations_end"),
        ]

    def __str__(self) -> str:
        return self.email or f"{self.key_prefix}…"

    @property
    def state(self) -> str:
        if self.accepted_at:
            return "accepted"
        return "revoked" if self.revoked_at else "expired" if self.expires_at <= timezone.now() else "open"

    def revoke(self) -> bool:
        """Revoke the invitation; False where it is no longer open."""
        return bool(Invitation.objects.open().filter(pk=self.pk).update(revoked_at=timezone.now()))

    def accept(self, account: User) -> bool:
        """Note that this account was made with it; False where it is no longer open."""
        mine = Invitation.objects.open().filter(pk=self.pk)
        return bool(mine.update(accepted_at=timezone.now(), account=account))
