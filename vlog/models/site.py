"""What administrators set for the whole site, and each person for the desk: docs/schema.md describes the tables."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.db.models import Q, Value

FIRST_NAME = "VLog"
COLOUR = "^(#[0-9a-f]{6})?$"


class SiteSettingsQuerySet(models.QuerySet["SiteSettings"]):
    def current(self) -> "SiteSettings":
        """Return the row, or before it is first saved one with the first values, which is not in the database."""
        return self.first() or SiteSettings(
            pk=1, name=FIRST_NAME, language=settings.SITE_LANGUAGE, time_zone=settings.TIME_ZONE
        )


class SiteSettings(models.Model):
    """The one row of settings. Once it is saved, VLOG_LANGUAGE and VLOG_TIME_ZONE have no effect on pages."""

    name = models.CharField(max_length=60, help_text="In titles, feeds, previews of links and e-mails.")
    tagline = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text="A sentence about the site, for search engines.",
    )
    accent = models.CharField(max_length=7, blank=True, default="", db_default="")
    logo = models.BinaryField(null=True, blank=True, editable=True)
    footer_links = models.JSONField(blank=True, default=list, db_default=Value([], models.JSONField()))
    language = models.CharField(max_length=10)
    time_zone = models.CharField(max_length=64)

    objects = SiteSettingsQuerySet.as_manager()

    class Meta:
        db_table = "site_settings"
        verbose_name = verbose_name_plural = "site"
        default_permissions = ("change",)
        constraints = [
            models.CheckConstraint(condition=Q(pk=1), name="ck_site_settings_id"),
            models.CheckConstraint(condition=Q(accent__regex=COLOUR), name="ck_site_settings_accent"),
        ]

    def __str__(self) -> str:
        return self.name

    def values(self) -> dict[str, Any]:
        """Return what the audit log compares."""
        return {
            "name": self.name,
            "tagline": self.tagline,
            "accent": self.accent,
            "logo": bool(self.logo),
            "footer_links": [" ".join(link) for link in self.footer_links],
            "language": self.language,
            "time_zone": self.time_zone,
        }


class UserSettings(models.Model):
    """The time zone and the language of one person; empty: those of the site."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, db_constraint=False)
    time_zone = models.CharField(max_length=64, blank=True, default="", db_default="")
    language = models.CharField(max_length=10, blank=True, default="", db_default="")

    class Meta:
        db_table = "user_settings"
        default_permissions = ()  # each person has their own

    def __str__(self) -> str:
        return f"Settings of {self.user}"

    @classmethod
    def of(cls, user: User) -> "UserSettings":
        """Return the row of a person, or one that is not in the database."""
        return cls.objects.filter(pk=user.pk).first() or cls(user=user)
