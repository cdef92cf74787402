"""The personal tokens of the HTTP API: docs/schema.md describes the table."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_noop

from vlog import keys

STATES = gettext_noop("revoked"), gettext_noop("expired"), gettext_noop("valid")
USE_INTERVAL = timedelta(minutes=1)  # between two writes of the last use


class Scope(models.TextChoices):
    READ = "read"
    EDIT = "edit"
    UPLOAD = "upload"


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def issue(
        self, user: User, scopes: Collection[str], name: str = "", expires_at: datetime | None = None
    ) -> tuple[str, "ApiToken"]:
        """Make a token; returns it and its row. The token is not stored, so it cannot be shown again."""
        key = keys.new()
        scopes = [scope for scope in Scope.values if scope in scopes]
        hashed = {"key_hash": keys.digest(key), "key_prefix": keys.prefix(key)}
        return key, self.create(user=user, name=name, scopes=scopes, expires_at=expires_at, **hashed)

    def revoke(self) -> int:
        """Revoke the tokens that are not revoked; returns their number. The rows are kept as a record."""
        return self.filter(revoked_at=None).update(revoked_at=timezone.now())


class ApiToken(models.Model):
    """The SHA-256 of a token with which a program acts for a person, within its scopes.

    A token never permits more than its owner may do at that moment. Revoked tokens are kept as a record.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens", db_constraint=False, db_index=False
    )
    name = models.CharField(max_length=100, blank=True, default="", db_default="")
    key_hash = models.CharField(max_length=64, editable=False)
    key_prefix = models.CharField(max_length=8, editable=False)
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope))
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        db_table = "api_tokens"
        verbose_name = "API token"
        default_permissions = ()  # every account has its own tokens
        permissions = [("manage_api_tokens", "Can see, revoke and delete the API tokens of others")]
        indexes = [
            models.Index(fields=["key_prefix"], name="ix_api_tokens_key_prefix"),  # authentication
            models.Index(fields=["user"], name="ix_api_tokens_user_id"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(scopes__contained_by=Scope.values) & ~Q(scopes=[]), name="ck_api_tokens_scopes"
            )
        ]

    def __str__(self) -> str:
        return f"{self.key_prefix}…"

    @property
    def has_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def state(self) -> str:
        return STATES[0] if self.revoked_at else STATES[1] if self.has_expired else STATES[2]

    def record_use(self) -> None:
        """Record when the token was last used, at most once a minute."""
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at >= USE_INTERVAL:
            unrecorded = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_INTERVAL)
            ApiToken.objects.filter(unrecorded, pk=self.pk).update(last_used_at=now)
