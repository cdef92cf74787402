"""The audit log: docs/schema.md describes the table."""

from typing import Any

from django.apps import apps
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from vlog.schema import NOW


class Via(models.TextChoices):
    """From where something was done. Empty: from a page that is none of these, or before this was recorded."""

    FORM = "form", "a form"
    LIST = "list", "a list"
    API = "API", "the API"
    COMMAND = "command", "a command"
    SCHEDULE = "schedule", "a schedule"
    TASK = "task", "a task"


class AuditEntry(models.Model):
    """What a person or a program did: written once by `vlog.audit.record`, never changed, deleted by age alone.

    Names are stored beside the ids, because entries outlive accounts and subjects; so there are no foreign keys.
    `before` and `after` are objects with the values that changed.
    """

    at = models.DateTimeField("when", default=timezone.now, db_default=NOW, editable=False)
    action = models.CharField(max_length=50)
    actor = models.CharField(max_length=150, default="", db_default="", blank=True)
    actor_id = models.IntegerField(null=True, blank=True)
    token_prefix = models.CharField(max_length=8, default="", db_default="", blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    via = models.CharField("from", max_length=10, choices=Via, default="", db_default="", blank=True)
    subject_type = models.CharField(max_length=100, default="", db_default="", blank=True)
    subject_id = models.CharField(max_length=50, default="", db_default="", blank=True)
    subject = models.CharField(max_length=255, default="", db_default="", blank=True)
    before = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    after = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)

    class Meta:
        db_table = "audit_entries"
        verbose_name_plural = "audit log entries"
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["-at", "-id"], name="ix_audit_entries_at"),  # the list, and the pruning
            models.Index(fields=["subject_type", "subject_id", "-at"], name="ix_audit_entries_subject"),  # histories
            models.Index(fields=["actor", "-at"], name="ix_audit_entries_actor"),  # the filter
            models.Index(fields=["action", "-at"], name="ix_audit_entries_action"),  # the filter; failed logins
        ]
        constraints = [models.CheckConstraint(condition=Q(via__in=["", *Via.values]), name="ck_audit_entries_via")]

    def __str__(self) -> str:
        if not self.what:
            return _("%(who)s %(did)s") % {"who": self.who, "did": self.did}
        return _("%(who)s %(did)s the %(what)s") % {"who": self.who, "did": self.did, "what": self.what}

    @property
    def who(self) -> str:
        return self.actor or _("An anonymous visitor")

    @property
    def did(self) -> str:
        """Return the action in the language of the page; the sources have it as an argument of `audit.record`."""
        return pgettext("audit", self.action)

    @property
    def short_sentence(self) -> str:
        """Return who did what, for the history of one row."""
        return _("%(who)s %(did)s it") % {"who": self.who, "did": self.did}

    @property
    def when(self) -> str:
        return f"{timezone.localtime(self.at):%Y-%m-%d %H:%M %Z}"

    @property
    def what(self) -> str:
        """Return the kind and the name of the subject, such as `video «Lake»`."""
        return " ".join(filter(None, [self.subject_kind, self.subject and f"«{self.subject}»"]))

    @property
    def subject_kind(self) -> str:
        app, _, name = self.subject_type.rpartition(".")
        model: Any = apps.all_models[app].get(name) if app else None
        return str(model._meta.verbose_name) if model else name
